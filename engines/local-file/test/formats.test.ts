import { crc32c } from '@node-rs/crc32';
import { type FileHandle, type FileSystem, StorageError } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../src/checkpoint.ts';
import { ioError, readFile, removeFile, replaceFile, sizeOf } from '../src/durable-file.ts';
import { type Descriptor, decodeBody, decodeDescriptor, encodeDescriptor } from '../src/segment/descriptor.ts';
import { parseSegmentFile } from '../src/segment/segment-files.ts';
import {
  decodeIndex,
  encodeIndexHeader,
  INDEX_ENTRY_BYTES,
  NO_TIMESTAMP,
  SparseIndex,
} from '../src/segment/sparse-index.ts';
import { decodeBody as decodeEntryBody, encodeBody as encodeEntryBody } from '../src/wal/bodies.ts';
import {
  ENTRY_HEADER_BYTES,
  encodePrepared,
  entryBytes,
  GROUP_HEADER_BYTES,
  getUint64,
  groupFileBytes,
  HeaderWriter,
  isPrepared,
  KIND,
  readEntryHeader,
  readGroupHeader,
} from '../src/wal/frames.ts';
import { isBodyWhole } from '../src/wal/whole-body.ts';
import { batch } from './batches.ts';
import { coded } from './scripted-disk.ts';

/** Each single bit of it flipped, one after the other. */
function* flips(bytes: Buffer, to = bytes.length): Generator<readonly [number, Buffer]> {
  for (let at = 0; at < to; at++)
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      yield [at, flipped];
    }
}

const FACTS: Descriptor = {
  number: 7,
  nonce: 0xfedcba98,
  sealed: true,
  ingested: false,
  base: 2 ** 40 + 5,
  end: 2 ** 41,
  epoch: 3,
  fencedEpoch: 0x7fffffff,
  bytes: 2 ** 33 + 1,
  maxTimestamp: -12345,
  indexCount: 9,
  lastIndexed: 2 ** 34,
  digest: 0xdeadbeef,
};

describe('the descriptor of a segment', () => {
  const state = Buffer.from('a fold');

  test('gives back every field, the uid and the state', () => {
    for (const [sealed, ingested] of [
      [true, true],
      [true, false],
      [false, false],
    ] as const) {
      const facts = { ...FACTS, sealed, ingested };
      const bytes = encodeDescriptor(facts, 'ü-1', state);
      expect(decodeDescriptor(bytes)).toEqual(facts);
      expect(decodeDescriptor(bytes.subarray(0, 128))).toEqual(facts);
      expect(decodeBody(bytes)).toEqual({ uid: 'ü-1', state });
    }
    expect(decodeBody(encodeDescriptor(FACTS, '', Buffer.alloc(0)))).toEqual({ uid: '', state: Buffer.alloc(0) });
  });

  test('is nothing when a bit of it is flipped, or a byte is missing', () => {
    const bytes = encodeDescriptor(FACTS, 'uid', state);
    for (const [at, flipped] of flips(bytes)) {
      if (at < 128) expect(decodeDescriptor(flipped), `byte ${at}`).toBeUndefined();
      else expect(decodeBody(flipped), `byte ${at}`).toBeUndefined();
    }
    expect(decodeDescriptor(bytes.subarray(0, 127))).toBeUndefined();
    expect(decodeDescriptor(Buffer.alloc(0))).toBeUndefined();
    expect(decodeBody(bytes.subarray(0, bytes.length - 1))).toBeUndefined();
  });

  test('of another format is nothing, whole as it may be', () => {
    for (const [at, value] of [
      [0, 0x53514d53],
      [4, 2],
      [4, 0],
    ] as const) {
      const bytes = encodeDescriptor(FACTS, '', state);
      bytes.writeUInt32LE(value, at);
      bytes.writeUInt32LE(crc32c(bytes.subarray(0, 124)), 124);
      expect(decodeDescriptor(bytes)).toBeUndefined();
    }
  });
});

describe('an index', () => {
  const index = new SparseIndex(100);
  for (const [offset, position, timestamp] of [
    [10, 0, 500],
    [11, 60, 400],
    [15, 120, 700],
    [20, 190, 600],
    [30, 220, 900],
    [31, 400, 100],
  ] as const)
    index.add(offset, position, timestamp);
  const file = Buffer.concat([encodeIndexHeader(10), index.encode(0)]);

  test('has an entry for each interval, with what was largest in front of it', () => {
    expect(index.entries).toEqual([15, 120, 500, 30, 220, 700, 31, 400, 900]);
    expect(index).toMatchObject({ count: 3, lastPosition: 400, maxTimestamp: 900, unloaded: 0 });
    expect(new SparseIndex(1).maxTimestamp).toBe(NO_TIMESTAMP);
  });

  test('tells where to begin to look', () => {
    const places = [10, 14, 15, 29, 30, 31, 99].map((offset) => index.positionOf(offset));
    expect(places).toEqual([0, 0, 120, 120, 220, 400, 400]);
    const times = [-5, 500, 501, 700, 701, 900, 901].map((timestamp) => index.positionOfTimestamp(timestamp));
    expect(times).toEqual([0, 0, 120, 120, 220, 220, 400]);
  });

  test('is read back from its file, whole or in part, and goes on behind it', () => {
    expect(decodeIndex(file, 10, 3)).toEqual(index.entries);
    expect(decodeIndex(file, 10, 1)).toEqual([15, 120, 500]);
    expect(decodeIndex(file, 10, 0)).toEqual([]);
    const later = new SparseIndex(100, { count: 2, lastPosition: 220, maxTimestamp: 900 });
    later.add(31, 400, 100);
    expect(later).toMatchObject({ count: 3, unloaded: 2, unloadedPosition: 220 });
    expect(later.encode(2)).toEqual(index.encode(2));
    expect(later.encode(3).length).toBe(0);
    later.loaded(decodeIndex(file, 10, 2) ?? []);
    expect(later.entries).toEqual(index.entries);
    expect(later).toMatchObject({ count: 3, unloaded: 0 });
    expect(later.encode(1)).toEqual(index.encode(1));
  });

  test('is nothing when a bit of it is flipped, a byte is missing, or it is another segment’s', () => {
    for (const [at, flipped] of flips(file)) expect(decodeIndex(flipped, 10, 3), `byte ${at}`).toBeUndefined();
    expect(decodeIndex(file.subarray(0, file.length - 1), 10, 3)).toBeUndefined();
    expect(decodeIndex(Buffer.alloc(0), 10, 0)).toBeUndefined();
    expect(decodeIndex(file, 11, 3)).toBeUndefined();
    const entry = (number: number) => file.subarray(number * INDEX_ENTRY_BYTES, (number + 1) * INDEX_ENTRY_BYTES);
    expect(decodeIndex(Buffer.concat([entry(0), entry(2), entry(1)]), 10, 2)).toBeUndefined();
    expect(decodeIndex(Buffer.concat([entry(0), entry(1), entry(1)]), 10, 2)).toBeUndefined();
  });

  test('of another format is nothing, whole as it may be', () => {
    const other = Buffer.from(file);
    other.writeUInt32LE(2, 4);
    other.writeUInt32LE(crc32c(other.subarray(0, 28)), 28);
    expect(decodeIndex(other, 10, 3)).toBeUndefined();
  });
});

describe('a checkpoint', () => {
  const checkpoint: Checkpoint = {
    generation: 2,
    nextSequence: 9,
    nextNumber: 4,
    place: { position: 77, sequence: 8, offset: 4096 },
    maxGroupBytes: 100,
    suspect: false,
    segments: [],
  };
  const bytes = encodeCheckpoint(checkpoint);

  test('comes back as it was', () => {
    expect(decodeCheckpoint(bytes, 'x')).toEqual(checkpoint);
    // as every release has written it
    expect(bytes.toString('latin1', 0, 8)).toBe('RMQC\x01\0\0\0');
  });

  test('is nothing when a bit of it is flipped, or a byte is missing or too many', () => {
    // the version is not under the CRC: one that is higher is taken at its word
    for (const [at, flipped] of flips(bytes))
      if (at < 4 || at >= 8) expect(decodeCheckpoint(flipped, 'x'), `byte ${at}`).toBeUndefined();
    for (const length of [0, 15, 16, bytes.length - 1])
      expect(decodeCheckpoint(bytes.subarray(0, length), 'x')).toBeUndefined();
    expect(decodeCheckpoint(Buffer.concat([bytes, Buffer.alloc(1)]), 'x')).toBeUndefined();
  });

  test('of a later release is refused by that name', () => {
    const later = Buffer.from(bytes);
    later.writeUInt32LE(2, 4);
    expect(() => decodeCheckpoint(later, 'x')).toThrow(expect.objectContaining({ code: 'FORMAT_TOO_NEW' }));
  });
});

describe('frames of the log', () => {
  const writer = new HeaderWriter();
  const group = { generation: 2, fileSequence: 3, start: 2 ** 40 + 8, previousEnd: 2 ** 40, bytes: 500 };

  test('a group says what was written, and nothing when a bit of it is flipped', () => {
    writer.entry(1, 0xffffff, 0xffffffff, 2 ** 50, 0xffffffff, 0xffffffff, 2 ** 50, 0xffffffff, 0xffffffff, 0xffffffff);
    writer.group(group);
    const bytes = Buffer.from(writer.bytes);
    expect(readGroupHeader(Buffer.concat([Buffer.alloc(3), bytes]), 3)).toEqual(group);
    for (const at of [1, 62, 64]) expect(readGroupHeader(bytes, at)).toBeUndefined();
    // what the buffer held before is not in it
    expect(bytes.subarray(36, 60).every((byte) => byte === 0)).toBe(true);
    for (const [at, flipped] of flips(bytes)) expect(readGroupHeader(flipped, 0), `byte ${at}`).toBeUndefined();
    bytes.writeUInt32LE(2, 4);
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, 60)), 60);
    expect(readGroupHeader(bytes, 0)).toBeUndefined();
  });

  const entry = (kind: number, parts: number, body: Buffer, bodyCrc: number): Buffer => {
    writer.entry(kind, parts, 2, 2 ** 40, 5, 6, 2 ** 41, 3, body.length, bodyCrc);
    return Buffer.concat([writer.entryBytes, body]);
  };

  test('an entry says what was written at its own position only, and nothing when a bit of it is flipped', () => {
    const bytes = entry(KIND.append, 0x123456, Buffer.alloc(0), 0xabcdef01);
    const header = {
      ...{ kind: KIND.append, parts: 0x123456, generation: 2, position: 2 ** 40, number: 5, epoch: 6 },
      ...{ offset: 2 ** 41, count: 3, bodyBytes: 0, bodyCrc: 0xabcdef01 },
    };
    expect(readEntryHeader(bytes, 0, 2 ** 40, 2)).toEqual(header);
    expect(readEntryHeader(bytes, 0, 2 ** 40 + 1, 2)).toBeUndefined();
    expect(readEntryHeader(bytes, 0, 2 ** 40, 1)).toBeUndefined();
    for (const at of [1, 40, 48]) expect(readEntryHeader(bytes, at, 2 ** 40, 2)).toBeUndefined();
    for (const [at, flipped] of flips(bytes))
      expect(readEntryHeader(flipped, 0, 2 ** 40, 2), `byte ${at}`).toBeUndefined();
  });

  test('the body of an append is whole when each batch is, and the heads are those that were written', () => {
    const batches = [batch(0, 10), batch(1, 0), batch(2, 33)];
    const body = Buffer.concat(batches);
    const heads = batches.reduce((crc, one) => crc32c(one.subarray(0, 21), crc), 0);
    const whole = (bytes: Buffer): boolean => {
      const header = readEntryHeader(bytes, 0, 2 ** 40, 2);
      if (header === undefined) throw new Error('no header');
      return isBodyWhole(bytes, 0, header);
    };
    const bytes = entry(KIND.append, 3, body, heads);
    expect(whole(bytes)).toBe(true);
    expect(whole(Buffer.concat([bytes, Buffer.alloc(9)]))).toBe(true);
    for (const cut of [1, body.length - 5, body.length])
      expect(whole(bytes.subarray(0, bytes.length - cut))).toBe(false);
    for (const [at, flipped] of flips(body))
      expect(whole(entry(KIND.append, 3, flipped, heads)), `byte ${at}`).toBe(false);
    // a batch too many, too few, and half of one: the rest is no batch
    expect(whole(entry(KIND.append, 2, body, heads))).toBe(false);
    expect(whole(entry(KIND.append, 4, body, heads))).toBe(false);
    expect(whole(entry(KIND.append, 3, Buffer.concat([body, Buffer.alloc(8)]), heads))).toBe(false);
    expect(whole(entry(KIND.append, 3, body.subarray(0, body.length - 80), heads))).toBe(false);
    expect(whole(entry(KIND.append, 1, Buffer.alloc(20), 0))).toBe(false);
    // one that claims to end far in front of itself, and that nothing has no CRC
    const before = Buffer.from(body);
    before.writeInt32BE(-(2 ** 31), 8);
    before.writeUInt32BE(0, 17);
    expect(whole(entry(KIND.append, 3, before, heads))).toBe(false);
  });

  test('any other body is whole under its own CRC', () => {
    const body = Buffer.from('a name');
    for (const [, flipped] of flips(body)) {
      const bytes = entry(KIND.create, 0, flipped, crc32c(body));
      const header = readEntryHeader(bytes, 0, 2 ** 40, 2);
      expect(header !== undefined && isBodyWhole(bytes, 0, header)).toBe(false);
    }
    const bytes = entry(KIND.create, 0, body, crc32c(body));
    const header = readEntryHeader(bytes, 0, 2 ** 40, 2);
    expect(header !== undefined && isBodyWhole(bytes, 0, header)).toBe(true);
  });

  test('sizes are those of sectors and of eight bytes', () => {
    expect([0, 1, 4096 - GROUP_HEADER_BYTES, 4097 - GROUP_HEADER_BYTES].map(groupFileBytes)).toEqual([
      4096, 4096, 4096, 8192,
    ]);
    expect([0, 1, 8, 9].map((bytes) => entryBytes(bytes) - ENTRY_HEADER_BYTES)).toEqual([0, 8, 8, 16]);
    expect(getUint64(Buffer.from([1, 0, 0, 0, 2, 0, 0, 0]), 0)).toBe(2 ** 33 + 1);
  });

  test('a file that was prepared and never written is known by its beginning', () => {
    expect(isPrepared(Buffer.concat([encodePrepared(), Buffer.alloc(100)]))).toBe(true);
    for (const [, flipped] of flips(encodePrepared())) expect(isPrepared(flipped)).toBe(false);
    expect(isPrepared(encodePrepared().subarray(0, 11))).toBe(false);
    // as every release has written it
    expect(encodePrepared().subarray(0, 8).toString('latin1')).toBe('RMQP\x01\0\0\0');
    expect(encodePrepared().readUInt32LE(8)).toBe(crc32c(encodePrepared().subarray(0, 8)));
  });
});

describe('names of files', () => {
  test.each([
    ['a.log', { id: 'a', kind: 'log', temporary: false }],
    ['a.b.footer', { id: 'a.b', kind: 'footer', temporary: false }],
    ['log.index.tmp', { id: 'log', kind: 'index', temporary: true }],
    ['a.head', { id: 'a', kind: 'head', temporary: false }],
  ])('%s is a file of a segment', (name, found) => {
    expect(parseSegmentFile(name)).toEqual(found);
  });

  test.each(['a.txt', 'log', '.log', 'a.tmp', 'a.log.bak', ''])('%s is none', (name) => {
    expect(parseSegmentFile(name)).toBeUndefined();
  });
});

describe('small files', () => {
  const failing = (code: string, at: 'open' | 'write' | 'unlink' | 'size' | 'none') => {
    const calls: string[] = [];
    const step = async <T>(name: string, value: T): Promise<T> => {
      calls.push(name);
      if (name === at) throw coded(code);
      return value;
    };
    const file = {
      size: () => step('size', 5),
      read: (into: Uint8Array) => step('read', into.length),
      write: () => step('write', undefined),
      datasync: () => step('datasync', undefined),
      close: () => step('close', undefined),
    } as unknown as FileHandle; // all that is asked for here
    const fs = {
      open: () => step('open', file),
      unlink: () => step('unlink', undefined),
      rename: () => step('rename', undefined),
    } as unknown as FileSystem; // as above
    return { fs, calls };
  };

  test('are synced before they get their name', async () => {
    const { fs, calls } = failing('', 'none');
    await replaceFile(fs, 'x', Buffer.from('x'));
    expect(calls).toEqual(['open', 'write', 'datasync', 'close', 'rename']);
  });

  test('do not get their name when they could not be written, and are closed', async () => {
    const { fs, calls } = failing('EIO', 'write');
    await expect(replaceFile(fs, 'x', Buffer.from('x'))).rejects.toMatchObject({ code: 'EIO' });
    expect(calls).toEqual(['open', 'write', 'close']);
  });

  test('that are missing are nothing; that can not be looked at are a failure', async () => {
    const gone = failing('ENOENT', 'open').fs;
    expect(await readFile(gone, 'x')).toBeUndefined();
    expect(await sizeOf(gone, 'x')).toBeUndefined();
    expect(await removeFile(failing('ENOENT', 'unlink').fs, 'x')).toBe(false);
    expect(await removeFile(failing('', 'none').fs, 'x')).toBe(true);
    const broken = failing('EIO', 'open').fs;
    await expect(readFile(broken, 'x')).rejects.toMatchObject({ code: 'EIO' });
    await expect(sizeOf(broken, 'x')).rejects.toMatchObject({ code: 'EIO' });
    await expect(removeFile(failing('EIO', 'unlink').fs, 'x')).rejects.toMatchObject({ code: 'EIO' });
    const { fs, calls } = failing('EIO', 'size');
    await expect(sizeOf(fs, 'x')).rejects.toMatchObject({ code: 'EIO' });
    expect(calls).toEqual(['open', 'size', 'close']);
  });

  test('are read as far as was asked for', async () => {
    const { fs, calls } = failing('', 'none');
    expect((await readFile(fs, 'x', 3))?.length).toBe(3);
    expect(calls).toEqual(['open', 'size', 'read', 'close']);
    expect((await readFile(failing('', 'none').fs, 'x'))?.length).toBe(5);
    expect(await sizeOf(failing('', 'none').fs, 'x')).toBe(5);
  });

  test('fail with the words of the storage layer', () => {
    const typed = new StorageError('CORRUPT', 'x');
    expect(ioError('it failed', 'here', typed)).toBe(typed);
    for (const code of ['ENOSPC', 'EDQUOT'])
      expect(ioError('it failed', 'here', coded(code))).toMatchObject({
        code: 'DISK_FULL',
        retryable: true,
        outcome: 'none',
      });
    expect(ioError('it failed', 'here', coded('EIO'))).toMatchObject({
      code: 'IO_ERROR',
      retryable: true,
      where: 'here',
    });
  });
});

test('the body of an entry of the log says of which segment it is, and a creation with which state', () => {
  for (const [id, state] of [
    ['a', Buffer.alloc(0)],
    ['ümlaut-ß', Buffer.from('a fold')],
    ['x'.repeat(300), Buffer.alloc(3000, 7)],
  ] as const) {
    const bytes = encodeEntryBody(0xfedcba98, id, state);
    expect(bytes.length).toBe(8 + Buffer.byteLength(id) + state.length);
    const decoded = decodeEntryBody(bytes);
    expect(decoded).toEqual({ nonce: 0xfedcba98, id, state });
    // the log's memory is used again
    bytes.fill(0xee);
    expect(decoded.state).toEqual(state);
  }
  expect(decodeEntryBody(encodeEntryBody(0, 'a'))).toEqual({ nonce: 0, id: 'a', state: Buffer.alloc(0) });
});
