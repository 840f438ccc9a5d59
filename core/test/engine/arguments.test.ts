import { MAX_OFFSET, MAX_STATE_BYTES } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import {
  checkAppendedBatch,
  checkCount,
  checkEpoch,
  checkOffset,
  checkPrefix,
  checkSegmentId,
  checkState,
  MAX_LIST,
} from '../../src/engine/arguments.ts';
import { int32At, int64At, uint32At } from '../../src/engine/fields.ts';
import { batch } from './scripted-engine.ts';

const MIB = 1024 * 1024;
const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT', outcome: 'none' });
const code = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

describe('what an engine is handed', () => {
  it.each(['a', '0', 'a.b_c-9', '...', '-', '_', 'z'.repeat(128)])('has ids such as %s', (id) => {
    expect(() => checkSegmentId(id)).not.toThrow();
  });

  it.each(['', 'A', 'a/b', '.', '..', 'a b', 'a\n', '\na', 'ä', 'z'.repeat(129), 7, undefined, null, ['a']])(
    'has no id such as %j',
    (id) => {
      expect(() => checkSegmentId(id)).toThrow(invalid);
    },
  );

  it('has prefixes that an id may begin with', () => {
    for (const prefix of ['', 'a', '.', '..', 'z'.repeat(128)]) expect(() => checkPrefix(prefix)).not.toThrow();
    for (const prefix of ['A', 'a/', 'z'.repeat(129), 7, undefined, ['']])
      expect(() => checkPrefix(prefix)).toThrow(invalid);
  });

  it('has offsets from 0 to the largest', () => {
    for (const offset of [0, 1, MAX_OFFSET]) expect(() => checkOffset(offset, 'base')).not.toThrow();
    for (const offset of [-1, 0.5, MAX_OFFSET + 1, Number.NaN, Number.POSITIVE_INFINITY, '0', undefined, null, [0]])
      expect(() => checkOffset(offset, 'base')).toThrow(invalid);
  });

  it('has epochs of 31 bits', () => {
    for (const epoch of [0, 1, 2 ** 31 - 1]) expect(() => checkEpoch(epoch)).not.toThrow();
    for (const epoch of [-1, 0.5, 2 ** 31, Number.NaN, '0', undefined, [0]])
      expect(() => checkEpoch(epoch)).toThrow(invalid);
  });

  it('has states of at most a MiB', () => {
    for (const length of [0, 1, MAX_STATE_BYTES]) expect(() => checkState(new Uint8Array(length))).not.toThrow();
    expect(() => checkState(Buffer.from('x'))).not.toThrow();
    for (const state of [new Uint8Array(MAX_STATE_BYTES + 1), 'x', undefined, [1], new ArrayBuffer(1)])
      expect(() => checkState(state)).toThrow(invalid);
  });

  it('has counts from 1 to what is allowed', () => {
    for (const count of [1, MAX_LIST]) expect(() => checkCount(count, 'limit', MAX_LIST)).not.toThrow();
    for (const count of [0, -1, 1.5, MAX_LIST + 1, Number.NaN, '1', undefined])
      expect(() => checkCount(count, 'limit', MAX_LIST)).toThrow(invalid);
  });
});

describe('a batch that is appended', () => {
  it('tells the offset behind it', () => {
    expect(checkAppendedBatch(batch(0), 0, MIB)).toBe(1);
    expect(checkAppendedBatch(batch(7, 5), 7, MIB)).toBe(12);
    expect(checkAppendedBatch(batch(2 ** 40 + 1, 2), 2 ** 40 + 1, MIB)).toBe(2 ** 40 + 3);
    expect(checkAppendedBatch(batch(0, 1, 61), 0, MIB)).toBe(1);
  });

  it('is at most as large as the engine takes', () => {
    expect(checkAppendedBatch(batch(0, 1, 500), 0, 500)).toBe(1);
    expect(code(() => checkAppendedBatch(batch(0, 1, 501), 0, 500))).toBe('BATCH_TOO_LARGE');
  });

  const edit = (at: number, value: number, bits: 8 | 32 = 32) => {
    const bytes = batch(0);
    const view = new DataView(bytes.buffer);
    if (bits === 8) view.setUint8(at, value);
    else view.setInt32(at, value);
    return bytes;
  };
  it.each([
    ['shorter than a header', new Uint8Array(60)],
    ['cut', batch(0).subarray(0, 99)],
    ['longer than it says', Buffer.concat([batch(0), new Uint8Array(1)])],
    ['of format 1', edit(16, 1, 8)],
    ['of format 3', edit(16, 3, 8)],
    ['of codec 5', edit(22, 5, 8)],
    ['of codec 7', edit(22, 0x17, 8)],
    ['with a negative delta', edit(23, -1)],
    [
      'with a negative delta that its count agrees with',
      (() => {
        const bytes = edit(23, -2);
        new DataView(bytes.buffer).setInt32(57, -1);
        return bytes;
      })(),
    ],
    ['with more records than offsets', edit(57, 2)],
    ['with fewer records than offsets', edit(23, 1)],
    ['at another offset', batch(1)],
    ['at the same offset of another 2^32', batch(2 ** 32)],
    // what a read would call CORRUPT must not get in
    ['of a base time that no number holds', edit(27, 2 ** 21)],
    ['of a largest time that no number holds', edit(35, -(2 ** 21) - 1)],
    ['of a producer that no number holds', edit(43, 2 ** 21)],
  ])('is not %s', (_what, bytes) => {
    expect(code(() => checkAppendedBatch(bytes, 0, MIB))).toBe('BATCH_INVALID');
  });

  it('may be of codec 4, and carry flags', () => {
    expect(checkAppendedBatch(edit(22, 0x34, 8), 0, MIB)).toBe(1);
  });

  it('is bytes', () => {
    for (const bytes of ['a batch', undefined, Array.from(batch(0))])
      expect(code(() => checkAppendedBatch(bytes as never, 0, MIB))).toBe('INVALID_ARGUMENT');
  });
});

describe('big-endian fields', () => {
  it('are read with their sign, and without', () => {
    const bytes = new Uint8Array([9, 0xff, 0xfe, 0xfd, 0xfc, 0x01, 0x02, 0x03, 0x04]);
    expect(int32At(bytes, 1)).toBe(-66052);
    expect(uint32At(bytes, 1)).toBe(0xfffefdfc);
    expect(int32At(bytes, 5)).toBe(0x01020304);
    expect(int64At(bytes, 1)).toBe(Number(new DataView(bytes.buffer).getBigInt64(1)));
    expect(int64At(new Uint8Array([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]), 0)).toBe(2 ** 33 - 1);
  });

  it('are 0 past the end', () => {
    expect(int32At(new Uint8Array(2), 0)).toBe(0);
  });
});
