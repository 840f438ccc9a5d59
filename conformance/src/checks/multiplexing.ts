import assert from 'node:assert/strict';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { appends, appendsDurably, type Check } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { fill, open } from './segments.ts';

export const multiplexingChecks: readonly Check[] = [
  {
    id: 'SHARD-110',
    level: 'MUST',
    area: 'multiplexing',
    subject: 'engine',
    promise: 'keep the batches of segments that are written at once apart',
    why: "Engines put many segments into one file or object; one wrong position and a topic reads another's messages.",
    claimed: appends,
    async run({ engine }) {
      const bodies = new Map<string, Buffer[]>();
      const writers = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => await open(engine, { id: `s-${i}`, base: i })),
      );
      const appends: Promise<unknown>[] = [];
      for (let round = 0; round < 20; round++)
        for (const [i, writer] of writers.entries()) {
          const bytes = batch({
            tag: `s${i}-${round}`,
            base: i + round,
            valueBytes: 30 + ((i * 37 + round * 101) % 900),
          });
          bodies.set(`s-${i}`, [...(bodies.get(`s-${i}`) ?? []), bodyOf(bytes)]);
          appends.push(writer.append([bytes], { base: i + round }));
        }
      await Promise.all(appends);
      for (const [i, writer] of writers.entries()) {
        assertHolds(await readAll(logOf(writer)), i, bodies.get(`s-${i}`) ?? []);
        await writer.seal();
        const reader = await engine.openReader(`s-${i}`);
        assertHolds(await readAll(logOf(reader)), i, bodies.get(`s-${i}`) ?? []);
        await reader.close();
      }
    },
  },
  {
    id: 'SHARD-111',
    level: 'MUST',
    area: 'multiplexing',
    subject: 'engine',
    promise: 'fence and delete one segment without disturbing those beside it',
    why: 'Shards move one at a time; the others on the node go on.',
    claimed: appends,
    async run({ engine }) {
      const [one, two, three] = [
        await open(engine, { id: 'one' }),
        await open(engine, { id: 'two' }),
        await open(engine, { id: 'three' }),
      ];
      const before = await fill(two, 10);
      await fill(one, 10);
      await fill(three, 10);
      const during = fill(two, 50);
      await engine.recover('one', { epoch: 2 });
      await engine.delete('three');
      const bodies = [...before, ...(await during), ...(await fill(two, 10))];
      await refused(one.append([batch({ base: 10 })], { base: 10 }), ['FENCED', 'WRITER_FAILED', 'SEGMENT_SEALED']);
      assertHolds(await readAll(logOf(two)), 0, bodies);
      assert.deepEqual(await two.seal(), { end: 70 });
    },
  },
  {
    id: 'SHARD-112',
    level: 'MUST',
    area: 'multiplexing',
    subject: 'engine',
    promise: 'hold hundreds of open segments, and find each of them after a restart',
    why: 'A thousand shards on a node are ordinary; a handle or a timer each is what breaks first.',
    claimed: appendsDurably,
    async run(trial) {
      const ids = Array.from({ length: 300 }, (_, i) => `s-${String(i).padStart(3, '0')}`);
      await Promise.all(ids.map(async (id, i) => await fill(await open(trial.engine, { id, base: i }), 2)));
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      assert.deepEqual(await trial.engine.list({ prefix: 's-', limit: 1000 }), ids);
      const ends = await Promise.all(ids.map((id) => trial.engine.recover(id, { epoch: 2 })));
      assert.deepEqual(
        ends.map(({ end }) => end),
        ids.map((_, i) => i + 2),
      );
    },
  },
  {
    id: 'SHARD-113',
    level: 'MUST',
    area: 'multiplexing',
    subject: 'engine',
    promise: 'take a next segment of a log while the one before is still being sealed',
    why: 'Rolling happens under load: the next segment is open before the last word about this one.',
    claimed: appends,
    async run({ engine }) {
      let base = 0;
      let writer = await open(engine, { id: 'roll-0' });
      const bodies: Buffer[] = [];
      const seals: Promise<{ end: number }>[] = [];
      for (let round = 1; round <= 10; round++) {
        bodies.push(...(await fill(writer, 7)));
        base += 7;
        seals.push(writer.seal());
        writer = await open(engine, { id: `roll-${round}`, base });
      }
      assert.deepEqual(
        (await Promise.all(seals)).map(({ end }) => end),
        Array.from({ length: 10 }, (_, i) => (i + 1) * 7),
      );
      for (let round = 0; round < 10; round++) {
        const reader = await engine.openReader(`roll-${round}`);
        assertHolds(await readAll(logOf(reader)), round * 7, bodies.slice(round * 7, round * 7 + 7));
        await reader.close();
      }
    },
  },
];
