import { crc32c } from '@node-rs/crc32';
import { expect, test } from 'vitest';
import { crc32cSmall } from '../../src/crc32c.ts';
import { SeededRandom } from '../../src/testing.ts';

test('the CRC of a few bytes is the CRC of the native module', () => {
  const random = new SeededRandom(7);
  const bytes = Buffer.from(Array.from({ length: 256 }, () => Math.floor(random.next() * 256)));
  for (let from = 0; from < 8; from++)
    for (let to = from; to < 100; to++) {
      const initial = from % 2 === 0 ? 0 : bytes.readUInt32LE(to);
      expect(crc32cSmall(bytes, from, to, initial)).toBe(crc32c(bytes.subarray(from, to), initial));
    }
});
