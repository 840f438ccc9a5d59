import { describe, expect, it } from 'vitest';
import { type ReadClaim, verifyRead } from '../../src/engine/verify-read.ts';
import { batch } from './scripted-engine.ts';

const claim = (from: number, dense: boolean, committed = 10): ReadClaim => ({
  ...{ segment: 's', base: 2, from, committed, dense },
});
const read = (given: readonly Uint8Array[], from: number, dense = true) =>
  verifyRead(Buffer.concat(given), claim(from, dense));
const damaged = (message: string) =>
  expect.objectContaining({ code: 'CORRUPT', message: expect.stringContaining(message) });
const flipped = (bytes: Uint8Array): Uint8Array => {
  bytes[80] = (bytes[80] ?? 0) ^ 1;
  return bytes;
};

describe('what an engine has read', () => {
  it('is good when its batches follow one another from the one that holds the offset', () => {
    expect(read([], 5)).toEqual({ next: undefined, bytes: 0 });
    expect(read([batch(5)], 5)).toEqual({ next: 6, bytes: 100 });
    expect(read([batch(3, 3), batch(6, 4)], 5)).toEqual({ next: 10, bytes: 200 });
    expect(read([batch(2, 1, 61), batch(3, 1, 61)], 2)).toEqual({ next: 4, bytes: 122 });
  });

  it('may have holes where the segment was not appended to', () => {
    expect(read([batch(5), batch(8)], 4, false)).toEqual({ next: 9, bytes: 200 });
    expect(() => read([batch(5)], 4)).toThrow(damaged('offset 5 where 4 was appended'));
    expect(() => read([batch(4), batch(6)], 4)).toThrow(damaged('offset 6 where 5 was appended'));
  });

  it.each([true, false])('is damaged when it begins below what was asked for, or goes back (dense: %s)', (dense) => {
    expect(() => read([batch(4)], 5, dense)).toThrow(damaged('4 to 5 where 5 is wanted'));
    expect(() => read([batch(2)], 5, dense)).toThrow(damaged('2 to 3 where 5 is wanted'));
    expect(() => read([batch(5, 3), batch(7)], 5, dense)).toThrow(damaged('7 to 8 where 8 is wanted'));
    expect(() => read([batch(5), batch(5)], 5, dense)).toThrow(damaged('5 to 6 where 6 is wanted'));
  });

  it('is damaged when it lies outside of the segment', () => {
    expect(() => read([batch(1, 3)], 2)).toThrow(damaged('outside of 2 to 10'));
    expect(() => read([batch(9), batch(10)], 9)).toThrow(damaged('outside of 2 to 10'));
    expect(() => read([batch(9, 2)], 9)).toThrow(damaged('outside of 2 to 10'));
    expect(() => read([batch(2 ** 53)], 9, false)).toThrow(damaged('outside'));
  });

  it('is damaged where it is no whole batch, and says where', () => {
    expect(() => read([new Uint8Array(60)], 5)).toThrow(damaged('60 bytes that are no whole batch'));
    expect(() => read([batch(5), new Uint8Array(5)], 5)).toThrow(damaged('5 bytes that are no whole batch'));
    expect(() => read([batch(5), batch(6).subarray(0, 99)], 5)).toThrow(
      expect.objectContaining({ where: 'segment s, offset 6, byte 100 of a read from 5', cause: expect.anything() }),
    );
    expect(() => read([batch(5).subarray(0, 99)], 5)).toThrow(
      expect.objectContaining({ where: 'segment s, offset 5, byte 0 of a read from 5' }),
    );
  });

  it('is good up to a batch of a wrong CRC, and damaged at it', () => {
    expect(read([batch(5), batch(6), flipped(batch(7)), batch(8)], 5)).toEqual({ next: 7, bytes: 200 });
    expect(() => read([flipped(batch(7)), batch(8)], 7)).toThrow(damaged('CRC is'));
  });
});
