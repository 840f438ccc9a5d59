import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeCrc } from '../../src/batch/check.ts';
import { checkBatch, encodeBatch, MAX_OFFSET, patchOffsetAndEpoch } from '../../src/index.ts';

const BATCH = encodeBatch([{ timestamp: 5, key: null, value: Buffer.from('value') }]);

describe('checkBatch', () => {
  it.each([
    ['a batch length past the end', (batch: Buffer) => batch.writeInt32BE(batch.length - 11, 8)],
    ['a batch length of less than a header', (batch: Buffer) => batch.writeInt32BE(10, 8)],
    ['a negative batch length', (batch: Buffer) => batch.writeInt32BE(-1, 8)],
    ['magic 1', (batch: Buffer) => batch.writeInt8(1, 16)],
    ['a codec that does not exist', (batch: Buffer) => batch.writeInt16BE(5, 21)],
    ['a negative last offset delta', (batch: Buffer) => batch.writeInt32BE(-1, 23)],
    ['more records than offsets', (batch: Buffer) => batch.writeInt32BE(2, 57)],
    ['a negative record count', (batch: Buffer) => batch.writeInt32BE(-1, 57)],
    ['a base timestamp beyond the safe integers', (batch: Buffer) => batch.writeBigInt64BE(2n ** 62n, 27)],
    ['a max timestamp beyond the safe integers', (batch: Buffer) => batch.writeBigInt64BE(2n ** 63n - 1n, 35)],
    ['a timestamp below the safe integers', (batch: Buffer) => batch.writeBigInt64BE(-(2n ** 63n), 27)],
    ['a producer id beyond the safe integers', (batch: Buffer) => batch.writeBigInt64BE(2n ** 54n, 43)],
  ])('refuses %s, though the CRC is right', (_name, damage) => {
    const batch = Buffer.from(BATCH);
    damage(batch);
    writeCrc(batch);
    expect(() => checkBatch(batch)).toThrow(expect.objectContaining({ code: 'BATCH_INVALID', outcome: 'none' }));
  });

  it('refuses any flipped bit under the CRC', () => {
    for (let at = 17; at < BATCH.length; at++) {
      const batch = Buffer.from(BATCH);
      batch[at] = (batch[at] ?? 0) ^ 0x04;
      expect(() => checkBatch(batch)).toThrow(expect.objectContaining({ code: 'BATCH_INVALID' }));
    }
  });

  it('refuses what is cut off, at every length', () => {
    for (let length = 0; length < BATCH.length; length++)
      expect(() => checkBatch(BATCH.subarray(0, length))).toThrow(expect.objectContaining({ code: 'BATCH_INVALID' }));
  });
});

describe('patchOffsetAndEpoch', () => {
  it('writes any offset and epoch, which readHeader gives back, and leaves the CRC right', () => {
    fc.assert(
      fc.property(fc.nat(MAX_OFFSET), fc.integer({ min: -1, max: 2 ** 31 - 1 }), fc.nat(3), (offset, epoch, shift) => {
        const bytes = Buffer.concat([Buffer.alloc(shift), BATCH]);
        patchOffsetAndEpoch(bytes, offset, epoch, shift);
        expect(bytes.readBigInt64BE(shift)).toBe(BigInt(offset));
        expect(checkBatch(bytes, shift)).toMatchObject({ baseOffset: offset, leaderEpoch: epoch });
      }),
    );
  });
});
