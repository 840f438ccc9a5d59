import assert from 'node:assert/strict';
import { batch, logOf, readAll } from '../batches.ts';
import { appends, appendsDurably, type Check, durable } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { fill, open } from './segments.ts';

export const recoveryChecks: readonly Check[] = [
  {
    id: 'SHARD-050',
    level: 'MUST',
    area: 'recovery',
    subject: 'engine',
    promise: 'give the same end however often recovery is repeated',
    why: 'Whoever recovers may die before it has written the result down, and the next one begins again.',
    claimed: appends,
    async run({ engine }) {
      const bodies = await fill(await open(engine), 25);
      for (let epoch = 2; epoch < 12; epoch++) {
        assert.deepEqual(await engine.recover('s-1', { epoch }), { end: 25 });
        assert.deepEqual(await engine.recover('s-1', { epoch }), { end: 25 });
      }
      const reader = await engine.openReader('s-1');
      assertHolds(await readAll(logOf(reader)), 0, bodies);
      await reader.close();
    },
  },
  {
    id: 'SHARD-051',
    level: 'MUST',
    area: 'recovery',
    subject: 'engine',
    promise: 'give the same end after each of several restarts',
    why: 'A recovery that rewrites what it recovers must survive its own crash, and the next one.',
    claimed: appendsDurably,
    async run(trial) {
      const bodies = await fill(await open(trial.engine), 25);
      for (let epoch = 2; epoch < 5; epoch++) {
        await trial.harness.reopen({ crash: trial.harness.canCrash });
        assert.deepEqual(await trial.engine.recover('s-1', { epoch }), { end: 25 });
      }
      const reader = await trial.engine.openReader('s-1');
      assertHolds(await readAll(logOf(reader)), 0, bodies);
      await reader.close();
    },
  },
  {
    id: 'SHARD-052',
    level: 'MUST',
    area: 'recovery',
    subject: 'engine',
    promise: 'recover an empty segment to its base, and a sealed one to its end',
    why: 'An owner may fall right after it rolled; both segments are then in Meta, and recovery takes them in order.',
    claimed: appends,
    async run({ engine }) {
      await open(engine, { id: 'empty', base: 7 });
      assert.deepEqual(await engine.recover('empty', { epoch: 2 }), { end: 7 });
      const writer = await open(engine, { id: 'sealed', base: 7 });
      await writer.append([batch({ base: 7, records: 3 })], { base: 7 });
      await writer.seal();
      assert.deepEqual(await engine.recover('sealed', { epoch: 2 }), { end: 10 });
    },
  },
  {
    id: 'SHARD-053',
    level: 'MUST',
    area: 'recovery',
    subject: 'engine',
    promise: 'say of a segment it does not hold that it is unknown or lost, and not make one',
    why: 'An empty segment in place of a missing one is silent data loss.',
    async run({ engine }) {
      await refused(engine.recover('never', { epoch: 2 }), ['SEGMENT_UNKNOWN', 'SEGMENT_LOST'], 'none');
      await refused(engine.openReader('never'), ['SEGMENT_UNKNOWN', 'SEGMENT_LOST'], 'none');
      assert.deepEqual(await engine.list({ prefix: '', limit: 10 }), []);
    },
  },
  {
    id: 'SHARD-054',
    level: 'MUST',
    area: 'recovery',
    subject: 'engine',
    promise: 'never open a second writer of a segment',
    why: 'A segment that is written again after its end was settled is how acknowledged records were overwritten elsewhere.',
    claimed: appends,
    async run(trial) {
      const writer = await open(trial.engine);
      await fill(writer, 2);
      await refused(open(trial.engine, { epoch: 2 }), 'SEGMENT_EXISTS', 'none');
      await writer.seal();
      await refused(open(trial.engine, { epoch: 3 }), 'SEGMENT_EXISTS', 'none');
      if (!durable(trial.definition.capabilities, trial.harness)) return;
      await trial.harness.reopen({ crash: false });
      await refused(open(trial.engine, { epoch: 4 }), 'SEGMENT_EXISTS', 'none');
    },
  },
  {
    id: 'SHARD-055',
    level: 'MUST',
    area: 'recovery',
    subject: 'engine',
    promise: 'go on serving other segments after some were recovered in any order',
    why: 'A restart finds hundreds of open segments, and core recovers them side by side.',
    claimed: appendsDurably,
    async run(trial) {
      const ids = Array.from({ length: 20 }, (_, i) => `s-${i}`);
      await Promise.all(ids.map(async (id, i) => await fill(await open(trial.engine, { id }), 1 + i)));
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      const fresh = await open(trial.engine, { id: 'fresh' });
      await fill(fresh, 3);
      const ends = await Promise.all(ids.toReversed().map((id) => trial.engine.recover(id, { epoch: 2 })));
      assert.deepEqual(
        ends.map(({ end }) => end),
        ids.map((_, i) => 20 - i),
      );
      await fill(fresh, 3);
      assert.equal((await readAll(logOf(fresh))).length, 6);
    },
  },
];
