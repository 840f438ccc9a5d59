import assert from 'node:assert/strict';
import { batch, bodyOf, readAll } from '../batches.ts';
import { type Check, durable } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { ShardLog } from '../shard-log.ts';

export const chainChecks: readonly Check[] = [
  {
    id: 'SHARD-160',
    level: 'MUST',
    area: 'chains',
    subject: 'shard',
    promise: 'never give an offset twice, restart or not, data lost or not',
    why: "A consumer's position is a number. If that number comes to mean another record, the consumer skips it and nobody notices.",
    async run(trial) {
      let next = 0;
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 5; i++) {
          const appended = await trial.shard.append([batch({ tag: `r${round}-${i}` })]);
          assert.ok(appended.base >= next, `offset ${appended.base} was given before, ${next} was next`);
          next = appended.next;
        }
        await trial.harness.reopen({ crash: trial.harness.canCrash && round % 2 === 0 });
      }
    },
  },
  {
    id: 'SHARD-161',
    level: 'MUST',
    area: 'chains',
    subject: 'shard',
    promise: 'tile its offsets with segments, without a gap or an overlap',
    why: 'Every read, every copy and every deletion finds its segment by offset.',
    async run(trial) {
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 5; i++) await trial.shard.append([batch()]);
        await trial.harness.reopen({ crash: false });
      }
      await trial.shard.append([batch()]);
      let at: number | undefined;
      for (const { base, end, state } of await trial.shard.segments()) {
        if (state === 'DELETING' || state === 'PREPARED') continue;
        assert.ok(at === undefined || at === base, `a segment begins at ${base}, the one before ends at ${at}`);
        at = end;
      }
    },
  },
  {
    id: 'SHARD-162',
    level: 'MUST',
    area: 'chains',
    subject: 'shard',
    promise: 'wake a reader that waits as soon as there is something to read',
    why: 'A reader that is woken too early and finds nothing sleeps through the record that it waited for.',
    async run({ shard }) {
      for (let i = 0; i < 20; i++) {
        const reading = shard.read(i, { maxBytes: 10_000, maxWaitMs: 10_000 });
        await shard.append([batch({ tag: `m${i}` })]);
        const { bytes, next } = await reading;
        assert.ok(bytes > 0 && next === i + 1, `woken at ${i} with ${bytes} bytes, next ${next}`);
      }
      const empty = await shard.read(20, { maxBytes: 10_000, maxWaitMs: 5 });
      assert.deepEqual([empty.bytes, empty.next], [0, 20]);
    },
  },
  {
    id: 'SHARD-163',
    level: 'MUST',
    area: 'chains',
    subject: 'shard',
    promise: 'forget what is trimmed at once and for good, and keep its end',
    why: 'Records that come back after a restart were deleted for a reason; a log that is trimmed empty must not begin at 0 again.',
    async run(trial) {
      const { shard } = trial;
      for (let i = 0; i < 10; i++) await shard.append([batch({ tag: `m${i}` })]);
      assert.equal(await shard.trim(6), 6);
      assert.equal(await shard.trim(3), 6);
      const below = await refused(shard.read(5, { maxBytes: 1 }), 'OFFSET_TRIMMED');
      assert.equal(below.offsets?.start, 6);
      const beyond = await refused(shard.read(11, { maxBytes: 1 }), 'OFFSET_BEYOND_END');
      assert.equal(beyond.offsets?.end, 10);
      await refused(shard.trim(11), 'OFFSET_BEYOND_END', 'none');
      const holds = durable(trial.definition.capabilities, trial.harness);
      if (holds) {
        await trial.harness.reopen({ crash: false });
        assert.equal((await trial.shard.offsets()).logStart, 6);
      }
      // nothing is left
      assert.equal(await trial.shard.trim(10), 10);
      await trial.harness.reopen({ crash: false });
      const { logStart, committed } = await trial.shard.offsets();
      if (holds) assert.deepEqual([logStart, committed], [10, 10], 'where it begins and ends when nothing is left');
      assert.ok((await trial.shard.append([batch()])).base >= 10);
    },
  },
  {
    id: 'SHARD-164',
    level: 'MUST',
    area: 'chains',
    subject: 'shard',
    promise: 'read on across all segments, in order and without a repeat',
    why: 'Where two segments meet is where a reader loses or repeats one.',
    claimed: durable,
    async run(trial) {
      const bodies: Buffer[] = [];
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 10; i++) {
          const bytes = batch({ tag: `r${round}-${i}`, records: 1 + (i % 3) });
          bodies.push(bodyOf(bytes));
          await trial.shard.append([bytes]);
        }
        await trial.harness.reopen({ crash: trial.harness.canCrash && round % 2 === 1 });
      }
      for (const maxBytes of [1, 300, 100_000])
        assertHolds(await readAll(new ShardLog(trial.harness), maxBytes), 0, bodies);
    },
  },
];
