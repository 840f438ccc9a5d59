import assert from 'node:assert/strict';
import { batch, readAll } from '../batches.ts';
import { type Check, durable } from '../check.ts';
import { refused } from '../expect.ts';
import { ShardLog } from '../shard-log.ts';

const LAST_SEQUENCE = 2 ** 31 - 1;
/** A shard remembers that many batches of a producer. */
const REMEMBERED = 5;

export const sequenceChecks: readonly Check[] = [
  {
    id: 'SHARD-282',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise: 'count the sequence of a producer on from 2^31 - 1 to 0, also inside a batch',
    why: 'A producer that has sent two billion records is not a new one. It is met years after the code was written, by the busiest producer there is.',
    async run({ shard }) {
      const first = await shard.append([produced(LAST_SEQUENCE - 3, 3)]);
      const second = await shard.append([produced(LAST_SEQUENCE, 4)]);
      assert.deepEqual([second.base, second.duplicate], [first.next, false]);
      await refused(shard.append([produced(4)]), 'SEQUENCE_GAP', 'none');
      const third = await shard.append([produced(3)]);
      assert.deepEqual([third.base, third.duplicate], [second.next, false]);
      const again = await shard.append([produced(LAST_SEQUENCE, 4)]);
      assert.deepEqual([again.base, again.next, again.duplicate], [second.base, second.next, true]);
    },
  },
  {
    id: 'SHARD-283',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise:
      'store a batch once that is sent again while the first is still on its way, or whose sender stopped waiting',
    why: 'A client sends again when its patience is over, and that is when the disk is slow: the first one is then still under way.',
    async run({ shard, harness }) {
      const both = await Promise.all([shard.append([produced(0, 2)]), shard.append([produced(0, 2)])]);
      assert.deepEqual(
        both.map(({ base, next, duplicate }) => [base, next, duplicate]),
        [
          [0, 2, false],
          [0, 2, true],
        ],
      );
      const stops = new AbortController();
      const stopped = shard.append([produced(2)], { signal: stops.signal }).catch(() => {});
      stops.abort();
      const again = await shard.append([produced(2)]);
      await stopped;
      assert.deepEqual([again.base, again.next], [2, 3]);
      assert.equal((await readAll(new ShardLog(harness))).length, 2, 'batches in the log');
    },
  },
  {
    id: 'SHARD-284',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise: 'refuse a repeat that is too old to be known, and store nothing of it',
    why: 'Taken for new, it is stored again, behind what was sent after it; called a duplicate, a client believes what nobody has looked up.',
    async run({ shard, harness }) {
      for (let i = 0; i <= REMEMBERED; i++) await shard.append([produced(i)]);
      await refused(shard.append([produced(0)]), 'SEQUENCE_GAP', 'none');
      const oldest = await shard.append([produced(1)]);
      assert.deepEqual([oldest.base, oldest.next, oldest.duplicate], [1, 2, true]);
      assert.equal((await readAll(new ShardLog(harness))).length, REMEMBERED + 1, 'batches in the log');
    },
  },
  {
    id: 'SHARD-285',
    level: 'MUST',
    area: 'producers',
    subject: 'shard',
    promise: 'know a repeat though all that its producer wrote was trimmed away, across restarts, too',
    why: 'Retention takes the batch and must not take what is known of its sender with it: the repeat of a slow client would be stored as new.',
    claimed: durable,
    async run(trial) {
      const first = await trial.shard.append([produced(0, 3)]);
      await trial.harness.reopen({ crash: false });
      await trial.shard.append([batch({ tag: 'between' })]);
      assert.equal(await trial.shard.trim(first.next), first.next);
      const repeat = async (): Promise<void> => {
        const again = await trial.shard.append([produced(0, 3)]);
        assert.deepEqual([again.base, again.next, again.duplicate], [first.base, first.next, true]);
      };
      await repeat();
      for (let round = 0; round < 2; round++) {
        await trial.harness.reopen({ crash: trial.harness.canCrash && round === 1 });
        await repeat();
      }
      const { committed } = await trial.shard.offsets();
      assert.equal(await trial.shard.trim(committed), committed);
      await trial.harness.reopen({ crash: false });
      await repeat();
      assert.equal((await trial.shard.append([produced(3)])).duplicate, false);
    },
  },
];

function produced(sequence: number, records = 1): Uint8Array {
  return batch({ tag: `p${sequence}`, records, producer: { id: 1234, epoch: 0, sequence } });
}
