import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CODECS,
  type Codec,
  type CompactOptions,
  checkBatch,
  compact,
  decodeRecords,
  encodeBatch,
  forEachBatch,
  KeyMap,
  mapKeys,
  packBatch,
  RecordCursor,
} from '../../src/index.ts';

const NOW = 1_700_000_000_000;
const RETENTION = 1000;

describe('a pass against the plainest model', () => {
  it('keeps exactly what the model keeps, with the same bytes at the same offsets, pass after pass', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 12 }), fc.array(pass, { maxLength: 5 }), run),
      { numRuns: 300 },
    );
  });
});

interface Entry {
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
}

interface BatchPlan {
  readonly entries: readonly Entry[];
  readonly codec: Codec;
  readonly logAppendTime: boolean;
}

interface PassPlan {
  readonly maxKeys: number;
  readonly sleepMs: number;
  readonly chunking: readonly number[];
}

const entry: fc.Arbitrary<Entry> = fc.record({
  key: fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'a key that is longer than the others'), { freq: 8 }),
  value: fc.option(fc.string({ maxLength: 8 }), { freq: 2 }),
  timestamp: fc.integer({ min: NOW - 5000, max: NOW + 5000 }),
});
const batch: fc.Arbitrary<BatchPlan> = fc.record({
  entries: fc.array(entry, { minLength: 1, maxLength: 6 }),
  codec: fc.constantFrom(...CODECS),
  logAppendTime: fc.boolean(),
});
const pass: fc.Arbitrary<PassPlan> = fc.record({
  maxKeys: fc.integer({ min: 1, max: 6 }),
  sleepMs: fc.integer({ min: 0, max: 2 * RETENTION }),
  chunking: fc.array(fc.integer({ min: 1, max: 3 })),
});

/** The log as the model has it: one row a record, with the batch it came in and when its tombstone may go. */
interface Row extends Entry {
  readonly offset: number;
  readonly batchEnd: number;
  horizon: number | undefined;
}

async function run(plans: readonly BatchPlan[], passes: readonly PassPlan[]): Promise<void> {
  let { log, rows } = build(plans);
  let from = 0;
  let now = NOW;
  for (const { maxKeys, sleepMs, chunking } of passes) {
    now += sleepMs;
    const keys = await mapKeys(chunked(log, chunking), { from, maxKeys });
    const to = modelTo(rows, from, maxKeys, keys.to);
    expect(keys.to).toBe(to);
    const { batches, stats } = compact(chunked(log, chunking), { keys, nowMs: now, deleteRetentionMs: RETENTION });
    log = await gather(batches);
    const before = rows.length;
    rows = modelPass(rows, from, to, now);
    expect(read(log)).toEqual(rows.map(({ offset, key, value, timestamp }) => ({ offset, key, value, timestamp })));
    expect(stats).toMatchObject({ recordsKept: rows.length, recordsDropped: before - rows.length, undecodable: 0 });
    from = to;
  }
}

function build(plans: readonly BatchPlan[]): { log: Uint8Array; rows: Row[] } {
  const rows: Row[] = [];
  const log = plans.map(({ entries, codec, logAppendTime }) => {
    const baseOffset = rows.length;
    const batchEnd = baseOffset + entries.length;
    for (const [i, one] of entries.entries())
      rows.push({
        ...one,
        timestamp: logAppendTime ? NOW : one.timestamp,
        offset: baseOffset + i,
        batchEnd,
        horizon: undefined,
      });
    const records = entries.map(({ key, value, timestamp }) => ({ timestamp, key: buffer(key), value: buffer(value) }));
    return encodeBatch(records, { codec, baseOffset, ...(logAppendTime ? { logAppendTime: NOW } : {}) });
  });
  return { log: Buffer.concat(log), rows };
}

/** Where the map must end: at the first record whose key is one too many, else at the end of what is left of the log. */
function modelTo(rows: readonly Row[], from: number, maxKeys: number, end: number): number {
  const known = new Set<string>();
  for (const { key, offset } of rows) {
    if (offset < from || key === null || known.has(key)) continue;
    if (known.size === maxKeys) return offset;
    known.add(key);
  }
  return Math.max(end, ...rows.map((row) => row.batchEnd));
}

function modelPass(rows: readonly Row[], from: number, to: number, now: number): Row[] {
  const newest = (row: Row) =>
    !rows.some((other) => other.key === row.key && other.offset > row.offset && inMap(other));
  const inMap = (row: Row) => row.offset >= from && row.offset < to;
  const trusted = (row: Row) => row.batchEnd <= from && row.horizon !== undefined;
  const gone = (row: Row) => row.value === null && trusted(row) && (row.horizon ?? now) <= now;
  const kept = rows.filter((row) => row.key === null || (newest(row) && !gone(row)));
  for (const row of kept)
    if (!trusted(row) && row.batchEnd <= to && kept.some((one) => one.batchEnd === row.batchEnd && isTombstone(one)))
      row.horizon = now + RETENTION;
  return kept;
}

function isTombstone(row: Row): boolean {
  return row.key !== null && row.value === null;
}

function read(log: Uint8Array): object[] {
  const read: object[] = [];
  forEachBatch(
    log,
    (_header, at) => {
      for (const { offset, timestamp, key, value } of decodeRecords(log, {}, at))
        read.push({ offset, timestamp, key: text(key), value: text(value) });
    },
    checkBatch,
  );
  return read;
}

describe('what stays', () => {
  it('the newest record of each key, at its offset, in a batch with the old header', async () => {
    const producer = { id: 5, epoch: 2, sequence: 40 };
    const one = encodeBatch([row('a', 'old', NOW + 9), row('b', 'kept', NOW + 5), row('a', 'older', NOW)], {
      baseOffset: 100,
      producer,
      codec: 'zstd',
    });
    const two = encodeBatch([row('a', 'new', NOW)], { baseOffset: 103 });
    const [compacted] = await pass1([one, two]);
    const header = checkBatch(compacted ?? one);
    expect(header).toMatchObject({
      baseOffset: 100,
      lastOffsetDelta: 2,
      recordCount: 1,
      producerId: 5,
      producerEpoch: 2,
      baseSequence: 40,
      maxTimestamp: NOW + 5,
      attributes: CODECS.indexOf('zstd'),
    });
    expect(decodeRecords(compacted ?? one).map((r) => r.offset)).toEqual([101]);
  });

  it('a chunk in which nothing goes is handed on as it is, not copied', async () => {
    const chunk = Buffer.concat([
      encodeBatch([row('a', '1', NOW)]),
      encodeBatch([row('b', '2', NOW)], { baseOffset: 1 }),
    ]);
    const keys = await mapKeys(chunked(chunk, []), { from: 0, maxKeys: 10 });
    const { batches } = compact(only(chunk), { keys, nowMs: NOW, deleteRetentionMs: 0 });
    for await (const given of batches) expect(given).toBe(chunk);
  });

  it('what lies at or above the end of the map, byte for byte', async () => {
    const one = encodeBatch([row('a', '1', NOW)]);
    const above = encodeBatch([row('a', '2', NOW), row('b', null, NOW)], { baseOffset: 1 });
    const last = encodeBatch([row('b', null, NOW)], { baseOffset: 3 });
    const keys = await mapKeys(only(one, above, last), { from: 0, maxKeys: 1 });
    expect(keys.to).toBe(2);
    const { batches } = compact(only(one, above, last), { keys, nowMs: NOW, deleteRetentionMs: 0 });
    expect(await gather(batches)).toEqual(Buffer.concat([above, last]));
  });

  it('control batches, those of transactions and those nobody can read, whole', async () => {
    const control = encodeBatch([row('a', 'marker', NOW)], { baseOffset: 0, control: true, transactional: true });
    const open = encodeBatch([row('a', 'maybe aborted', NOW)], { baseOffset: 1, transactional: true });
    const { header } = new RecordCursor(encodeBatch([row('a', 'x', NOW)], { baseOffset: 2 }));
    const poison = packBatch(Buffer.from('no record at all'), header);
    const plain = encodeBatch([row('a', 'the newest', NOW)], { baseOffset: 3 });
    const newer = encodeBatch([row('a', 'aborted', NOW)], { baseOffset: 4, transactional: true });
    expect(await pass1([control, open, poison, plain, newer])).toEqual([control, open, poison, plain, newer]);
  });

  it('a batch that would grow past the bound, whole', async () => {
    const large = encodeBatch([row('a', 'x'.repeat(100_000), NOW)], { codec: 'gzip' });
    const next = encodeBatch([row('a', 'y', NOW)], { baseOffset: 1 });
    expect(await pass1([large, next], { maxDecompressedBytes: 50_000 })).toEqual([large, next]);
  });
});

describe('a tombstone', () => {
  const log = [encodeBatch([row('a', 'v', NOW)]), encodeBatch([row('a', null, NOW - 1e9)], { baseOffset: 1 })];

  it('stays for deleteRetentionMs after the pass that left it alone, however old it says it is', async () => {
    const first = await pass1(log);
    expect(first.flatMap((one) => decodeRecords(one))).toMatchObject([
      { offset: 1, value: null, timestamp: NOW - 1e9 },
    ]);
    expect(await passAgain(first, NOW + RETENTION - 1)).toEqual(first);
    expect(await passAgain(first, NOW + RETENTION)).toEqual([]);
  });

  it("is not dropped by a client's own delete horizon", async () => {
    const [value, tombstone] = log as [Uint8Array, Uint8Array];
    const { header, bytes } = new RecordCursor(tombstone);
    const forged = packBatch(bytes, { ...header, attributes: 0x40, baseTimestamp: 0 });
    const first = await pass1([value, forged]);
    expect(first.flatMap((one) => decodeRecords(one))).toMatchObject([{ offset: 1, value: null }]);
    expect(await passAgain(first, NOW + RETENTION - 1)).toEqual(first);
  });
});

describe('KeyMap', () => {
  it('knows the newest offset of each key, and ends where it is full', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3 }), { maxLength: 3000 }), fc.nat(2000), (keys, maxKeys) => {
        const map = new KeyMap(0, maxKeys);
        const model = new Map<string, number>();
        keys.every((key, offset) => {
          const name = Buffer.from(key).toString('hex');
          const room = model.has(name) || model.size < maxKeys;
          expect(map.put(key, offset)).toBe(room);
          if (room) model.set(name, offset);
          return room;
        });
        expect(map.size).toBe(model.size);
        for (const key of keys) expect(map.latest(key)).toBe(model.get(Buffer.from(key).toString('hex')));
      }),
      { numRuns: 30 },
    );
  });

  it('holds 200,000 keys', () => {
    const map = new KeyMap(0, 200_000);
    for (let i = 0; i < 200_000; i++) expect(map.put(Buffer.from(`key ${i}`), i * 2 ** 20)).toBe(true);
    for (let i = 0; i < 200_000; i += 997) expect(map.latest(Buffer.from(`key ${i}`))).toBe(i * 2 ** 20);
    expect(map.put(Buffer.from('one more'), 1)).toBe(false);
  });
});

function pass1(log: readonly Uint8Array[], options: Partial<CompactOptions> = {}): Promise<Uint8Array[]> {
  return onePass(log, 0, NOW, options);
}

function passAgain(log: readonly Uint8Array[], nowMs: number): Promise<Uint8Array[]> {
  return onePass(log, 1000, nowMs, {});
}

async function onePass(log: readonly Uint8Array[], from: number, nowMs: number, more: Partial<CompactOptions>) {
  const keys = await mapKeys(only(...log), { from, maxKeys: 100, ...more });
  const { batches } = compact(only(...log), { keys, nowMs, deleteRetentionMs: RETENTION, ...more });
  const compacted: Uint8Array[] = [];
  for await (const chunk of batches) compacted.push(chunk);
  return compacted;
}

function row(key: string, value: string | null, timestamp: number) {
  return { key: Buffer.from(key), value: buffer(value), timestamp };
}

async function* only(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** The batches of `log`, so many at a time, and one at a time after that. */
async function* chunked(log: Uint8Array, counts: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends: number[] = [];
  forEachBatch(log, (header, at) => ends.push(at + header.bytes));
  for (let begin = 0, batches = 0, turn = 0; begin < log.length; turn++) {
    batches = Math.min(batches + (counts[turn] ?? 1), ends.length);
    const end = ends[batches - 1] ?? log.length;
    yield log.subarray(begin, end);
    begin = end;
  }
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

function buffer(value: string | null): Buffer | null {
  return value === null ? null : Buffer.from(value);
}

function text(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString();
}
