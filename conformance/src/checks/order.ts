import assert from 'node:assert/strict';
import { at, batch, bodyOf, logOf, NOON, readAll, stored } from '../batches.ts';
import { appends, type Check } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { open } from './segments.ts';

export const orderChecks: readonly Check[] = [
  {
    id: 'SHARD-001',
    level: 'MUST',
    area: 'order',
    subject: 'log',
    promise: 'store pipelined appends densely, in the order of the calls',
    why: 'Every protocol above numbers its messages by these offsets; a swap or a gap is a lost or invented message to each of them.',
    claimed: appends,
    async run({ log, random }) {
      const bodies: Buffer[] = [];
      const results: Promise<{ base: number; next: number }>[] = [];
      for (let i = 0; i < 300; i++) {
        const bytes = batch({
          tag: `m${i}`,
          records: 1 + Math.floor(random.next() * 5),
          valueBytes: 20 + Math.floor(random.next() * 2000),
        });
        bodies.push(bodyOf(bytes));
        results.push(log.append([bytes]));
      }
      let next = 0;
      for (const result of await Promise.all(results)) {
        assert.equal(result.base, next, 'each append begins where the one before ended');
        next = result.next;
      }
      assertHolds(await readAll(log), 0, bodies);
    },
  },
  {
    id: 'SHARD-002',
    level: 'MUST',
    area: 'order',
    subject: 'log',
    promise: 'settle appends in the order of the calls',
    why: 'A broker answers a connection in order and counts on the last acknowledgement covering all before it.',
    claimed: appends,
    async run({ log }) {
      const order: number[] = [];
      const all = Array.from({ length: 100 }, (_, i) =>
        log.append([batch({ tag: `m${i}`, valueBytes: i % 10 === 0 ? 20_000 : 20 })]).then(() => void order.push(i)),
      );
      await Promise.all(all);
      assert.deepEqual(
        order,
        [...order].sort((a, b) => a - b),
      );
    },
  },
  {
    id: 'SHARD-003',
    level: 'MUST',
    area: 'order',
    subject: 'log',
    promise: 'keep the batches of 64 concurrent appenders once each, every appender in its own order',
    why: 'Under contention is where logs were caught losing or repeating: the checks that found it count every single one.',
    claimed: appends,
    async run({ log }) {
      const appenders = Array.from({ length: 64 }, async (_, who) => {
        for (let i = 0; i < 10; i++) await log.append([batch({ tag: `a${who}-${i}` })]);
      });
      await Promise.all(appenders);
      const seen = new Map<string, number>();
      for (const { body } of await readAll(log)) {
        const [, who = '', i = ''] = /a(\d+)-(\d+)/.exec(body.toString('latin1')) ?? [];
        assert.equal(Number(i), seen.get(who) ?? 0, `appender ${who}`);
        seen.set(who, Number(i) + 1);
      }
      assert.deepEqual(
        [...seen.values()],
        Array.from({ length: 64 }, () => 10),
      );
    },
  },
  {
    id: 'SHARD-004',
    level: 'MUST',
    area: 'order',
    subject: 'engine',
    promise: 'refuse an append at any offset but the next, apply nothing of it, and take the next right one',
    why: 'Core gives offsets before it knows the outcome; an engine that took a wrong one would leave a hole that no reader can cross.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine, { base: 10 });
      for (const base of [0, 9, 11, 1000])
        await refused(writer.append([batch({ base })], { base }), 'OFFSET_MISMATCH', 'none');
      assert.equal((await writer.append([batch({ base: 10 })], { base: 10 })).next, 11);
      assert.equal((await readAll(logOf(writer))).length, 1);
    },
  },
  {
    id: 'SHARD-005',
    level: 'MUST',
    area: 'order',
    subject: 'engine',
    promise: 'keep offsets exact far beyond 32 bits',
    why: 'An index with a 32-bit offset in it worked for years elsewhere, then deleted live data when a log had grown long enough.',
    claimed: appends,
    async run({ engine }) {
      const base = 2 ** 52 + 1;
      const writer = await open(engine, { base });
      for (let i = 0; i < 10; i++)
        await writer.append([batch({ base: base + i, timestamps: [NOON + i] })], { base: base + i });
      const [first] = stored((await writer.read(base + 7, { maxBytes: 1 })).bytes);
      assert.equal(first?.base, base + 7);
      assert.equal(await writer.offsetForTimestamp(NOON + 8), base + 8);
      assert.deepEqual(await writer.seal(), { end: base + 10 });
      const reader = await engine.openReader('s-1');
      assert.equal(reader.offsets().end, base + 10);
      assert.equal((await readAll(logOf(reader)))[9]?.base, base + 9);
      await reader.close();
    },
  },
  {
    id: 'SHARD-006',
    level: 'MUST',
    area: 'order',
    subject: 'engine',
    promise: 'not depend on what other fields of a batch say about its place',
    why: 'The leader epoch lies outside the checksum and is rewritten by core; bytes that come back must be those that went in.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      const bytes = at(0, batch({ records: 3 }));
      new DataView(bytes.buffer, bytes.byteOffset).setInt32(12, 77);
      const copy = Buffer.from(bytes);
      await writer.append([bytes], { base: 0 });
      assert.ok(copy.equals((await writer.read(0, { maxBytes: 1 })).bytes), 'the leader epoch came back changed');
    },
  },
];
