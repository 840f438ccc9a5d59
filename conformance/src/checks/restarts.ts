import assert from 'node:assert/strict';
import { batch } from '../batches.ts';
import { type Check, durable } from '../check.ts';

export const restartChecks: readonly Check[] = [
  {
    id: 'SHARD-170',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise: 'know a repeat across several restarts, though its producer wrote nothing in between',
    why: 'After the first restart the log itself tells; after the second only the state that lies with the newest segment does, and a lost one makes the repeat a copy.',
    claimed: durable,
    async run(trial) {
      const first = await trial.shard.append([produced(0)]);
      for (let round = 0; round < 3; round++) {
        await trial.harness.reopen({ crash: trial.harness.canCrash && round === 1 });
        await trial.shard.append([batch({ tag: `between-${round}` })]);
      }
      const again = await trial.shard.append([produced(0)]);
      assert.deepEqual([again.base, again.next, again.duplicate], [first.base, first.next, true]);
      assert.equal((await trial.shard.append([produced(1)])).duplicate, false);
    },
  },
];

function produced(sequence: number): Uint8Array {
  return batch({ tag: `p${sequence}`, producer: { id: 1234, epoch: 0, sequence } });
}
