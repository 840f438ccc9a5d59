import assert from 'node:assert/strict';
import { batch, logOf, readAll } from '../batches.ts';
import { appends, appendsDurably, type Check } from '../check.ts';
import { assertHolds, refused, settled } from '../expect.ts';
import { fill, open } from './segments.ts';

export const fencingChecks: readonly Check[] = [
  {
    id: 'SHARD-040',
    level: 'MUST',
    area: 'fencing',
    subject: 'engine',
    promise: 'acknowledge nothing of an older writer once recovery has resolved',
    why: 'Two owners that both acknowledge is a split log: the paused process that wakes up after a takeover is the ordinary case.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      const bodies = await fill(writer, 10);
      const { end } = await engine.recover('s-1', { epoch: 2 });
      assert.equal(end, 10);
      await refused(writer.append([batch({ base: 10 })], { base: 10 }), ['FENCED', 'WRITER_FAILED', 'SEGMENT_SEALED']);
      assert.deepEqual(await engine.recover('s-1', { epoch: 3 }), { end: 10 });
      const reader = await engine.openReader('s-1');
      assertHolds(await readAll(logOf(reader)), 0, bodies);
      await reader.close();
    },
  },
  {
    id: 'SHARD-041',
    level: 'MUST',
    area: 'fencing',
    subject: 'engine',
    promise: 'find an end that covers every append it acknowledged, when recovery runs into appends in flight',
    why: 'What lies past the end is sent again into the next segment: acknowledged and past the end is twice or never.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      const appends = Array.from({ length: 100 }, (_, i) => settled(writer.append([batch({ base: i })], { base: i })));
      await appends[3];
      const { end } = await engine.recover('s-1', { epoch: 2 });
      const results = await Promise.all(appends);
      for (const [i, result] of results.entries()) {
        if ('value' in result) assert.ok(i < end, `append ${i} was acknowledged, the end is ${end}`);
        else if (result.error.outcome === 'none') assert.ok(i >= end, `append ${i} was not applied, the end is ${end}`);
      }
      const reader = await engine.openReader('s-1');
      assert.equal((await readAll(logOf(reader))).length, end);
      await reader.close();
    },
  },
  {
    id: 'SHARD-042',
    level: 'MUST',
    area: 'fencing',
    subject: 'engine',
    promise: 'refuse recovery by an epoch below one that has recovered the segment, and change nothing',
    why: 'A late request of a former owner must not undo what the present one has settled.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine, { epoch: 5 });
      await refused(engine.recover('s-1', { epoch: 4 }), 'FENCED', 'none');
      await fill(writer, 3);
      assert.deepEqual(await engine.recover('s-1', { epoch: 9 }), { end: 3 });
      await refused(engine.recover('s-1', { epoch: 8 }), 'FENCED', 'none');
      assert.deepEqual(await engine.recover('s-1', { epoch: 9 }), { end: 3 });
    },
  },
  {
    id: 'SHARD-043',
    level: 'MUST',
    area: 'fencing',
    subject: 'engine',
    promise: 'remember the fence across a restart',
    why: 'A fence kept in memory only is gone when it matters: after the crash that made the takeover necessary.',
    claimed: appendsDurably,
    async run(trial) {
      await fill(await open(trial.engine, { epoch: 5 }), 3);
      await trial.engine.recover('s-1', { epoch: 9 });
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      await refused(trial.engine.recover('s-1', { epoch: 8 }), 'FENCED', 'none');
      assert.deepEqual(await trial.engine.recover('s-1', { epoch: 9 }), { end: 3 });
    },
  },
  {
    id: 'SHARD-044',
    level: 'MUST',
    area: 'fencing',
    subject: 'engine',
    promise: 'not let a fenced writer seal or otherwise move the end',
    why: 'The end that recovery gave is in Meta by now, as the base of the next segment.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      await fill(writer, 4);
      await engine.recover('s-1', { epoch: 2 });
      const late = await settled(writer.seal());
      if ('value' in late) assert.equal(late.value.end, 4);
      await settled(writer.flush());
      await writer.close();
      assert.deepEqual(await engine.recover('s-1', { epoch: 2 }), { end: 4 });
    },
  },
  {
    id: 'SHARD-045',
    level: 'MUST',
    area: 'fencing',
    subject: 'engine',
    promise: 'give racing recoveries one end',
    why: 'Two nodes may both believe that they took over; Meta settles who did, as long as both saw the same log.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      const appends = Array.from({ length: 50 }, (_, i) => settled(writer.append([batch({ base: i })], { base: i })));
      await appends[0];
      const races = await Promise.all([2, 3, 4, 4].map((epoch) => settled(engine.recover('s-1', { epoch }))));
      const ends = races.flatMap((race) => ('value' in race ? [race.value.end] : []));
      for (const race of races) if ('error' in race) assert.equal(race.error.code, 'FENCED');
      assert.ok(ends.length > 0, 'no recovery came through');
      assert.equal(new Set(ends).size, 1, `ends ${ends.join(', ')}`);
      await Promise.all(appends);
      assert.deepEqual(await engine.recover('s-1', { epoch: 4 }), { end: ends[0] });
    },
  },
];
