import assert from 'node:assert/strict';
import { batch, batchOfBytes, bodyOf, logOf, readAll, stored } from '../batches.ts';
import { appends, type Check } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { askOf, hold, ones } from './segments.ts';

export const readChecks: readonly Check[] = [
  {
    id: 'SHARD-070',
    level: 'MUST',
    area: 'reads',
    subject: 'log',
    promise: 'return the whole batch for an offset inside it',
    why: 'Batches are the unit of reading; a log that looked for one that begins there made its consumers wait for ever.',
    async run({ log }) {
      await log.append([batch({ tag: 'a', records: 10 })]);
      await log.append([batch({ tag: 'b', records: 10 })]);
      for (let from = 0; from < 20; from++) {
        const { bytes, next } = await log.read(from, 1);
        assert.deepEqual(
          stored(bytes).map(({ base }) => base),
          [from < 10 ? 0 : 10],
          `a read from ${from}`,
        );
        assert.equal(next, from < 10 ? 10 : 20);
      }
    },
  },
  {
    id: 'SHARD-071',
    level: 'MUST',
    area: 'reads',
    subject: 'log',
    promise: 'return one batch even if it is larger than asked for, and otherwise no more than was asked for',
    why: 'With nothing at all a consumer with a small buffer never gets past a large message; with too much, memory has no bound.',
    async run({ log }) {
      await log.append([batchOfBytes(50_000), batchOfBytes(1000), batchOfBytes(1000), batchOfBytes(1000)]);
      assert.deepEqual(
        stored((await log.read(0, 10)).bytes).map(({ base }) => base),
        [0],
      );
      for (const maxBytes of [1, 999, 1000, 1999, 2000, 2500, 3000, 100_000]) {
        const { bytes, next } = await log.read(1, maxBytes);
        assert.ok(bytes.length <= Math.max(maxBytes, 1000), `${bytes.length} bytes were read, ${maxBytes} asked for`);
        assert.equal(next, 1 + stored(bytes).length);
        assert.ok(next > 1);
      }
    },
  },
  {
    id: 'SHARD-072',
    level: 'MUST',
    area: 'reads',
    subject: 'log',
    promise: 'give nothing at the end, and the same offset to go on with',
    why: 'A tail reader stands there most of its life.',
    claimed: appends,
    async run({ log }) {
      const empty = await log.read(0, 1000);
      assert.deepEqual([empty.bytes.length, empty.next], [0, 0]);
      await log.append([batch({ records: 7 })]);
      const end = await log.read(7, 1000);
      assert.deepEqual([end.bytes.length, end.next], [0, 7]);
    },
  },
  {
    id: 'SHARD-073',
    level: 'MUST',
    area: 'reads',
    subject: 'engine',
    promise: 'refuse offsets outside of the segment, with the offsets that are in it',
    why: 'A consumer that is told where the log begins and ends can go on by itself.',
    run: (trial) =>
      askOf(
        trial,
        ones(5, { base: 10 }),
        async (reader) => {
          const below = await refused(reader.read(9, { maxBytes: 1 }), 'OFFSET_TRIMMED');
          assert.deepEqual(below.offsets, { start: 10, end: 15 });
          const beyond = await refused(reader.read(16, { maxBytes: 1 }), 'OFFSET_BEYOND_END');
          assert.deepEqual(beyond.offsets, { start: 10, end: 15 });
        },
        { base: 10 },
      ),
  },
  {
    id: 'SHARD-074',
    level: 'MUST',
    area: 'reads',
    subject: 'log',
    promise: 'serve many readers at different places, none moving another',
    why: 'A cursor shared by accident between two readers made one of them skip.',
    async run({ log }) {
      const bodies: Buffer[] = [];
      for (let i = 0; i < 100; i++) {
        const bytes = batch({ tag: `m${i}`, valueBytes: 20 + i * 13 });
        bodies.push(bodyOf(bytes));
        await log.append([bytes]);
      }
      const readers = Array.from({ length: 20 }, async (_, i) =>
        assertHolds(await readAll(log, 1 + i * 700), 0, bodies),
      );
      await Promise.all(readers);
    },
  },
  {
    id: 'SHARD-075',
    level: 'MUST',
    area: 'reads',
    subject: 'log',
    promise: 'hold what was appended, whatever the caller does with its buffer afterwards',
    why: "A broker reuses its socket buffers; a log that kept a reference to one served other people's bytes.",
    claimed: appends,
    async run({ log }) {
      const scratch = Buffer.alloc(2000);
      const bodies: Buffer[] = [];
      for (let i = 0; i < 30; i++) {
        const bytes = batch({ tag: `m${i}`, valueBytes: 100 + i });
        bodies.push(bodyOf(bytes));
        const view = scratch.subarray(7, 7 + bytes.length);
        view.set(bytes);
        await log.append([view]);
        scratch.fill(0xee);
      }
      assertHolds(await readAll(log), 0, bodies);
    },
  },
  {
    id: 'SHARD-076',
    level: 'MUST',
    area: 'reads',
    subject: 'engine',
    promise: 'never change bytes that a read has returned',
    why: "They wait in a socket's queue for as long as the slowest client likes.",
    async run(trial) {
      const reader = await hold(trial, ones(20, { valueBytes: 500 }));
      const { bytes } = await reader.read(3, { maxBytes: 5000 });
      const copy = Buffer.from(bytes);
      const readOther = async (id: string): Promise<void> => {
        const other = await hold(trial, ones(200, { valueBytes: 500, tag: id }), { id });
        await readAll(logOf(other), 5000);
        await other.close();
      };
      const more = ones(200, { base: 20, valueBytes: 500 });
      await Promise.all(more.map((behind, i) => reader.append?.([behind], { base: 20 + i })));
      await reader.read(15, { maxBytes: 5000 });
      await readOther('s-2');
      await reader.seal?.();
      await reader.close();
      await trial.engine.delete('s-1');
      await readOther('s-3');
      assert.ok(copy.equals(bytes), 'bytes that were read have changed');
    },
  },
  {
    id: 'SHARD-077',
    level: 'MUST',
    area: 'reads',
    subject: 'engine',
    promise: 'find every offset of a segment, through the writer and through a reader',
    why: 'Sparse indexes are wrong at their edges: the first entry, the last one, and the batch that spans two.',
    async run(trial) {
      const { random } = trial;
      const expected: number[] = [];
      const made: Uint8Array[] = [];
      let next = 1000;
      for (let i = 0; i < 400; i++) {
        const records = 1 + Math.floor(random.next() * 6);
        made.push(batch({ tag: `m${i}`, records, valueBytes: 10 + Math.floor(random.next() ** 4 * 4000), base: next }));
        for (let n = 0; n < records; n++) expected.push(next);
        next += records;
      }
      const bodies = made.map(bodyOf);
      await askOf(
        trial,
        made,
        async (reader) => {
          for (const [i, base] of expected.entries())
            assert.equal(stored((await reader.read(1000 + i, { maxBytes: 1 })).bytes)[0]?.base, base);
          assertHolds(await readAll(logOf(reader), 10_000), 1000, bodies);
        },
        { base: 1000 },
      );
    },
  },
  {
    id: 'SHARD-078',
    level: 'MUST',
    area: 'reads',
    subject: 'engine',
    promise: 'let a reader be closed without touching the others',
    why: 'Readers come and go with clients; a shared handle closed once too often fails all of them.',
    async run(trial) {
      const { engine } = trial;
      const made = ones(10);
      const bodies = made.map(bodyOf);
      const first = await hold(trial, made);
      await first.seal?.();
      const [one, two] = [await engine.openReader('s-1'), await engine.openReader('s-1')];
      await one.close();
      await one.close();
      await refused(one.read(0, { maxBytes: 1 }), 'CLOSED', 'none');
      assertHolds(await readAll(logOf(two)), 0, bodies);
      await first.close();
      assertHolds(await readAll(logOf(two)), 0, bodies);
      await two.close();
    },
  },
];
