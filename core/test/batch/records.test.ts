import { type CompressionAlgorithmValue, createRecordsBatch, Reader, readRecordsBatches } from '@platformatic/kafka';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CODECS,
  type Codec,
  checkBatch,
  decodeRecords,
  encodeBatch,
  firstRecordAtOrAfter,
  isStorageError,
  packBatch,
  patchOffsetAndEpoch,
  RecordCursor,
  type RecordToWrite,
} from '../../src/index.ts';
import { CLIENT_BATCHES } from './client-batches.ts';

const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
const bytesOrNull = fc.option(bytes);
const record: fc.Arbitrary<RecordToWrite> = fc.record({
  timestamp: fc.oneof(
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
    fc.constant(-1),
    fc.integer({ min: -1, max: 2 ** 52 }),
  ),
  key: bytesOrNull,
  value: bytesOrNull,
  headers: fc.array(fc.record({ key: fc.string({ unit: 'binary' }), value: bytesOrNull }), { maxLength: 4 }),
});
const records = fc.array(record, { minLength: 1, maxLength: 30 });

describe('encodeBatch and decodeRecords', () => {
  it.each(CODECS)('%s: every record comes back as it was, null told from empty', (codec) => {
    fc.assert(
      fc.property(records, fc.nat(2 ** 40), (written, baseOffset) => {
        const batch = encodeBatch(written, { codec, baseOffset });
        expect(checkBatch(batch)).toMatchObject({ recordCount: written.length, lastOffsetDelta: written.length - 1 });
        expect(decodeRecords(batch)).toEqual(written.map((one, i) => ({ ...one, offset: baseOffset + i })));
      }),
      { numRuns: 60 },
    );
  });

  it('keeps producer, flags and times in the header', () => {
    const two = [plain('a', 500), plain('b', 400)];
    const options = { producer: { id: 2 ** 40, epoch: 7, sequence: 99 }, transactional: true };
    expect(checkBatch(encodeBatch(two, options))).toMatchObject({
      attributes: 0x10,
      baseTimestamp: 500,
      maxTimestamp: 500,
      producerId: 2 ** 40,
      producerEpoch: 7,
      baseSequence: 99,
    });
    expect(checkBatch(encodeBatch(two))).toMatchObject({ producerId: -1, producerEpoch: -1, baseSequence: -1 });
  });

  it('a batch that carries the time of its append gives that to every record', () => {
    const batch = encodeBatch([plain('a', 500), plain('b', 400)], { logAppendTime: 9000 });
    expect(decodeRecords(batch).map((one) => one.timestamp)).toEqual([9000, 9000]);
  });

  it('reads the batch at a place in a chunk, with the offsets it was given at admission', () => {
    const one = encodeBatch([plain('a', 1)]);
    const two = encodeBatch([plain('b', 2), plain('c', 3)]);
    patchOffsetAndEpoch(two, 2 ** 33 + 5, 3);
    const chunk = Buffer.concat([one, two, one]);
    expect(decodeRecords(chunk, {}, one.length).map((r) => r.offset)).toEqual([2 ** 33 + 5, 2 ** 33 + 6]);
  });

  it('refuses to write what is none', () => {
    expect(() => encodeBatch([])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => encodeBatch([plain('a', 0.5)])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('against another implementation of the format', () => {
  it.each(CODECS)('%s: reads what @platformatic/kafka writes', (codec) => {
    fc.assert(
      fc.property(fc.array(foreignRecord, { minLength: 1, maxLength: 20 }), (written) => {
        const messages = written.map((one) => ({
          topic: 't',
          partition: 0,
          timestamp: BigInt(one.timestamp),
          ...(one.key === null ? {} : { key: one.key }),
          value: one.value,
          headers: new Map(one.headers.map((header) => [Buffer.from(header.key), header.value])),
        }));
        const compression: CompressionAlgorithmValue = codec;
        const batch = createRecordsBatch(messages, { compression }).buffer;
        checkBatch(batch);
        expect(decodeRecords(batch)).toEqual(written.map((one, i) => ({ ...one, offset: i })));
      }),
      { numRuns: 30 },
    );
  });

  it.each(CODECS)('%s: @platformatic/kafka reads what we write', (codec) => {
    fc.assert(
      fc.property(fc.array(foreignRecord, { minLength: 1, maxLength: 20 }), (written) => {
        const [batch] = readRecordsBatches(Reader.from(Buffer.from(encodeBatch(written, { codec, baseOffset: 77 }))));
        const read = batch?.records.map((one) => ({
          timestamp: Number((batch?.firstTimestamp ?? 0n) + one.timestampDelta),
          key: one.key,
          value: one.value,
          headers: one.headers.map(([key, value]) => ({ key: key?.toString(), value })),
        }));
        expect(batch?.firstOffset).toBe(77n);
        expect(read).toEqual(written);
      }),
      { numRuns: 30 },
    );
  });
});

describe('against batches of real clients', () => {
  it.each(Object.entries(CLIENT_BATCHES))('%s', (client, base64) => {
    const batch = Buffer.from(base64, 'base64');
    expect(checkBatch(batch)).toMatchObject({ recordCount: 60, lastOffsetDelta: 59, baseOffset: 0 });
    const headers = client.startsWith('kcat') ? [{ key: 'a', value: Buffer.from('b') }] : [];
    const read = decodeRecords(batch).map(({ offset, key, value, headers }) => ({
      offset,
      key: key?.toString(),
      value: value?.toString(),
      headers,
    }));
    const written = Array.from({ length: 60 }, (_, i) => ({
      offset: i,
      key: `k${i % 7}`,
      value: `${i} of a few lines that compress well`,
      headers,
    }));
    expect(read).toEqual(written);
  });
});

/** What that library can write: no empty bytes told from null in values it sends, small deltas. */
const filled = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((array) => Buffer.from(array));
const foreignRecord = fc.record({
  timestamp: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  key: fc.option(filled),
  value: filled,
  headers: fc.uniqueArray(fc.record({ key: fc.stringMatching(/^[a-z]{1,8}$/), value: filled }), {
    maxLength: 3,
    selector: (header) => header.key,
  }),
});

describe('firstRecordAtOrAfter', () => {
  it('is the first in offset order, also where timestamps are out of order', () => {
    const batch = encodeBatch([plain('a', 100), plain('b', 300), plain('c', 200), plain('d', 300)], { baseOffset: 10 });
    expect(firstRecordAtOrAfter(batch, 0)).toEqual({ offset: 10, timestamp: 100 });
    expect(firstRecordAtOrAfter(batch, 150)).toEqual({ offset: 11, timestamp: 300 });
    expect(firstRecordAtOrAfter(batch, 300)).toEqual({ offset: 11, timestamp: 300 });
    expect(firstRecordAtOrAfter(batch, 301)).toBeUndefined();
  });
});

describe('a sparse batch', () => {
  it('keeps its offsets; without records at all it is valid, whatever codec its header names', () => {
    const { bytes: plainRecords, header } = new RecordCursor(
      encodeBatch([plain('a', 1), plain('b', 2), plain('c', 3)]),
    );
    const cursor = new RecordCursor(packBatch(plainRecords, header));
    cursor.next();
    const afterFirst = cursor.end;
    for (const codec of CODECS) {
      const fields = { ...header, baseOffset: 50, attributes: CODECS.indexOf(codec), recordCount: 2 };
      const sparse = packBatch(plainRecords.subarray(afterFirst), fields);
      expect(decodeRecords(sparse).map((one) => one.offset)).toEqual([51, 52]);
      const empty = packBatch(new Uint8Array(0), { ...fields, recordCount: 0 });
      expect(checkBatch(empty).bytes).toBe(61);
      expect(decodeRecords(empty)).toEqual([]);
    }
  });
});

describe('bytes that are not what they claim', () => {
  const good = encodeBatch([plain('key', 1), plain('another', 2)]);
  const { bytes: body, header } = new RecordCursor(good);

  it.each([
    ['more records than there are', { recordCount: 3, lastOffsetDelta: 2 }],
    ['fewer records than there are', { recordCount: 1 }],
    ['no records, but bytes', { recordCount: 0 }],
    ['a last offset below the records', { recordCount: 2, lastOffsetDelta: 0 }],
  ])('%s', (_name, fields) => {
    expectInvalid(packBatch(body, { ...header, ...fields }));
  });

  it.each([
    ['a record that reaches past the end', [0x7e, 0, 0, 0, 1, 1, 0]],
    ['a record with bytes left over', [0x10, 0, 0, 0, 1, 1, 0, 0, 0]],
    ['a key longer than its record', [0x0c, 0, 0, 0, 0x7e, 1, 0]],
    ['a key of length -2', [0x0c, 0, 0, 0, 3, 1, 0]],
    ['a header count of a million', [0x10, 0, 0, 0, 1, 1, 0x80, 0x89, 0x7a]],
    ['a negative header count', [0x0c, 0, 0, 0, 1, 1, 1]],
    ['a header without a key', [0x10, 0, 0, 0, 1, 1, 2, 1, 1]],
    ['a header value longer than its record', [0x10, 0, 0, 0, 1, 1, 2, 0, 0x20]],
    ['an offset delta below the one before', [0x0c, 0, 0, 1, 1, 1, 0]],
    ['a varint of eleven bytes', [0x20, 0, ...Array(10).fill(0xff), 1, 0, 1, 1]],
    ['a length of 36 bits', [0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0]],
    ['nothing at all', []],
  ])('%s', (_name, record) => {
    expectInvalid(packBatch(Uint8Array.from(record), { ...header, recordCount: 1, lastOffsetDelta: 0 }));
  });

  it('two records with one offset', () => {
    const twice = Uint8Array.from([0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 0, 1, 1, 0]);
    expectInvalid(packBatch(twice, header));
  });

  it('records that would decompress to more than asked for', () => {
    const large = { timestamp: 1, key: null, value: Buffer.alloc(100_000) };
    for (const codec of CODECS.filter((one) => one !== 'none')) {
      const batch = encodeBatch([large], { codec });
      expect(() => decodeRecords(batch, { maxDecompressedBytes: 50_000 })).toThrow(
        expect.objectContaining({ code: 'BATCH_INVALID' }),
      );
    }
  });

  it.each(CODECS)('%s: any change to a batch gives records or BATCH_INVALID, nothing else', (codec: Codec) => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(records, changes, fc.nat(200), (written, edits, cut) => {
        const whole = encodeBatch(written, { codec });
        const damaged = Buffer.from(whole.subarray(0, Math.max(0, whole.length - Math.max(0, cut - 180))));
        for (const [at, byte] of edits) if (damaged.length > 0) damaged[at % damaged.length] = byte;
        try {
          for (const one of decodeRecords(damaged)) expect(one.headers.length).toBeLessThan(whole.length);
        } catch (error) {
          if (!isStorageError(error, 'BATCH_INVALID')) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});

function plain(key: string, timestamp: number): RecordToWrite {
  return { timestamp, key: Buffer.from(key), value: Buffer.from(`value of ${key}`), headers: [] };
}

function expectInvalid(batch: Uint8Array): void {
  expect(() => decodeRecords(batch)).toThrow(expect.objectContaining({ code: 'BATCH_INVALID' }));
}
