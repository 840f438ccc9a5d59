import assert from 'node:assert/strict';
import { batch, logOf, readAll } from '../batches.ts';
import { appends, type Check } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { fill, open } from './segments.ts';

export const sealingChecks: readonly Check[] = [
  {
    id: 'SHARD-090',
    level: 'MUST',
    area: 'sealing',
    subject: 'engine',
    promise: 'settle what is in flight, then seal behind it, and refuse appends from then on',
    why: 'The end of this segment is the base of the next one. An append that slips in behind it is lost or doubled.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      const appends = Array.from({ length: 50 }, (_, i) => writer.append([batch({ base: i })], { base: i }));
      const seal = writer.seal();
      await refused(writer.append([batch({ base: 50 })], { base: 50 }), 'SEGMENT_SEALED', 'none');
      assert.deepEqual((await Promise.all(appends)).at(-1), { next: 50 });
      assert.deepEqual(await seal, { end: 50 });
    },
  },
  {
    id: 'SHARD-091',
    level: 'MUST',
    area: 'sealing',
    subject: 'engine',
    promise: 'say the same of a sealed segment through its writer and through any reader',
    why: 'A stale end after the seal makes a reader stop short of the last records, for good.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine, { base: 3 });
      const bodies = await fill(writer, 17);
      assert.deepEqual(await writer.seal(), { end: 20 });
      assert.deepEqual(await writer.seal(), { end: 20 });
      const sealed = { base: 3, committed: 20, end: 20, sealed: true };
      assert.deepEqual(writer.offsets(), sealed);
      const reader = await engine.openReader('s-1');
      assert.deepEqual(reader.offsets(), sealed);
      assertHolds(await readAll(logOf(writer)), 3, bodies);
      assertHolds(await readAll(logOf(reader)), 3, bodies);
      await reader.close();
    },
  },
  {
    id: 'SHARD-092',
    level: 'MUST',
    area: 'sealing',
    subject: 'engine',
    promise: 'refuse a reader of a segment that is open',
    why: 'An open segment is read through its owner, who alone knows what is committed.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      await fill(writer, 2);
      await refused(engine.openReader('s-1'), 'SEGMENT_NOT_SEALED', 'none');
      await writer.close();
      await refused(engine.openReader('s-1'), 'SEGMENT_NOT_SEALED', 'none');
      await engine.recover('s-1', { epoch: 2 });
      const reader = await engine.openReader('s-1');
      assert.equal(reader.offsets().end, 2);
      await reader.close();
    },
  },
  {
    id: 'SHARD-093',
    level: 'MUST',
    area: 'sealing',
    subject: 'engine',
    promise: 'seal an empty segment at its base',
    why: 'A topic may change its engine twice without a record in between.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine, { base: 12 });
      assert.deepEqual(await writer.seal(), { end: 12 });
      const reader = await engine.openReader('s-1');
      const read = await reader.read(12, { maxBytes: 100 });
      assert.deepEqual([read.bytes.length, read.next], [0, 12]);
      await reader.close();
    },
  },
  {
    id: 'SHARD-094',
    level: 'MUST',
    area: 'sealing',
    subject: 'engine',
    promise: 'resolve `flush` when all appends so far have settled',
    why: 'Core drains with it before it stops; whoever is not settled by then is told nothing.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      let done = 0;
      for (let i = 0; i < 50; i++)
        void writer.append([batch({ base: i })], { base: i }).then(
          () => done++,
          () => {},
        );
      await writer.flush();
      assert.equal(done, 50);
      assert.equal(writer.offsets().committed, 50);
    },
  },
];
