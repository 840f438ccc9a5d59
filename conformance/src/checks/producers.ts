import assert from 'node:assert/strict';
import { batch, readAll } from '../batches.ts';
import { type Check, durable } from '../check.ts';
import { refused } from '../expect.ts';
import { ShardLog } from '../shard-log.ts';

export const producerChecks: readonly Check[] = [
  {
    id: 'SHARD-150',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise: 'store a batch of an idempotent producer once, and answer a repeat with the first result',
    why: 'A producer that saw no answer sends again; that is the ordinary case, not the rare one.',
    async run({ shard, harness }) {
      const first = await shard.append([produced(0, 3)]);
      await shard.append([produced(3)]);
      for (let i = 0; i < 3; i++) {
        const again = await shard.append([produced(0, 3)]);
        assert.deepEqual([again.base, again.next, again.duplicate], [first.base, first.next, true]);
      }
      assert.equal((await readAll(new ShardLog(harness))).length, 2);
    },
  },
  {
    id: 'SHARD-151',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise: "refuse a gap in a producer's sequence, and a producer of an older epoch",
    why: 'A gap means that something before it never arrived; an older epoch is a client that was replaced and does not know it.',
    async run({ shard }) {
      await shard.append([produced(0)]);
      await refused(shard.append([produced(2)]), 'SEQUENCE_GAP', 'none');
      await shard.append([produced(1)]);
      await shard.append([produced(0, 1, 1)]);
      await refused(shard.append([produced(2)]), 'PRODUCER_FENCED', 'none');
    },
  },
  {
    id: 'SHARD-152',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise: 'know a repeat across a restart',
    why: 'The restart is what took the answer away. Sequences stored before their data made the retry vanish; after it, double.',
    claimed: durable,
    async run(trial) {
      const first = await trial.shard.append([produced(0, 4)]);
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      const again = await trial.shard.append([produced(0, 4)]);
      assert.deepEqual([again.base, again.next, again.duplicate], [first.base, first.next, true]);
      assert.equal((await trial.shard.append([produced(4)])).duplicate, false);
    },
  },
];

function produced(sequence: number, records = 1, epoch = 0): Uint8Array {
  return batch({ tag: `p${sequence}`, records, producer: { id: 1234, epoch, sequence } });
}
