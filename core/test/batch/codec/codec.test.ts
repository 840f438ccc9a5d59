import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { compressSync as compressRawSnappy } from 'snappy';
import { describe, expect, it } from 'vitest';
import { compress, decompress } from '../../../src/batch/codec/codec.ts';
import { CODECS, type Codec, isStorageError } from '../../../src/index.ts';
import { JAVA_SNAPPY, LZ4_FRAMES, PLAIN } from './foreign.ts';

const COMPRESSING = CODECS.filter((codec) => codec !== 'none');
/** 4 MiB that compress to almost nothing. */
const BOMB = Buffer.alloc(4 * 1024 * 1024, 'boom');

describe('codecs', () => {
  it.each(CODECS)('%s gives back what it was given', (codec) => {
    const plain = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 4000 })).map(repeated),
    );
    fc.assert(
      fc.property(plain, (bytes) => {
        expect(Buffer.from(decompress(codec, compress(codec, bytes))).equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each(CODECS)('%s gives back large and incompressible bytes', (codec) => {
    for (const plain of [randomBytes(300_000), BOMB, Buffer.concat([randomBytes(70_000), Buffer.alloc(100_000)])])
      expect(Buffer.from(decompress(codec, compress(codec, plain))).equals(plain)).toBe(true);
  });

  it.each(Object.entries(LZ4_FRAMES))('reads a frame made by lz4 %s', (_options, base64) => {
    expect(Buffer.from(decompress('lz4', Buffer.from(base64, 'base64'))).equals(PLAIN)).toBe(true);
  });

  it('reads the blocks that Java makes of snappy', () => {
    expect(Buffer.from(decompress('snappy', Buffer.from(JAVA_SNAPPY, 'base64'))).equals(PLAIN)).toBe(true);
  });

  it('reads raw snappy, which librdkafka sends', () => {
    expect(Buffer.from(decompress('snappy', compressRawSnappy(PLAIN))).equals(PLAIN)).toBe(true);
  });
});

describe('decompression is bounded', () => {
  it.each(COMPRESSING)('%s refuses a bomb, and takes what just fits', (codec) => {
    const packed = compress(codec, BOMB);
    expect(decompress(codec, packed, BOMB.length)).toHaveLength(BOMB.length);
    expectInvalid(() => decompress(codec, packed, BOMB.length - 1));
    expectInvalid(() => decompress(codec, packed, 1000));
  });

  it.each(COMPRESSING)('%s allocates little for a bomb of 256 MiB and more', (codec) => {
    const packed = hugeBomb(codec);
    const before = process.memoryUsage();
    expectInvalid(() => decompress(codec, packed, 1024 * 1024));
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(16 * 1024 * 1024);
  });

  it('snappy does not believe a declared length', () => {
    expectInvalid(() => decompress('snappy', Uint8Array.of(0xff, 0xff, 0xff, 0x1f, 0x00), 2 ** 28));
    expectInvalid(() => decompress('snappy', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x01)));
  });
});

describe('damaged compressed bytes', () => {
  it.each(COMPRESSING)('%s: cut off, with bytes behind, or of another kind, they are BATCH_INVALID', (codec) => {
    const packed = compress(codec, PLAIN);
    for (const length of [0, 1, 3, 10, packed.length >> 1, packed.length - 1])
      expectInvalid(() => decompress(codec, packed.subarray(0, length)));
    expectInvalid(() => decompress(codec, Buffer.concat([packed, Buffer.from('behind')])));
    expectInvalid(() => decompress(codec, Buffer.from('these are plain bytes and nothing else')));
  });

  it.each(COMPRESSING)('%s: any byte changed gives bytes within the bound or BATCH_INVALID', (codec) => {
    const packed = Buffer.from(compress(codec, PLAIN.subarray(0, 3000)));
    fc.assert(
      fc.property(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(packed);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        try {
          expect(decompress(codec, damaged, 10_000).length).toBeLessThanOrEqual(10_000);
        } catch (error) {
          expect(isStorageError(error, 'BATCH_INVALID')).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function repeated([bytes, times]: [Uint8Array, number]): Uint8Array {
  return Buffer.alloc(bytes.length * times, bytes);
}

function expectInvalid(run: () => unknown): void {
  expect(run).toThrow(expect.objectContaining({ code: 'BATCH_INVALID', outcome: 'none' }));
}

/** 256 members, frames or blocks of 4 MiB each where the codec can chain them; made once by its own compressor else. */
function hugeBomb(codec: Codec): Uint8Array {
  const chain = (part: Uint8Array) => Buffer.concat(Array.from({ length: 256 }, () => part));
  const packed = Buffer.from(compress(codec, BOMB));
  if (codec === 'gzip') return chain(packed);
  if (codec === 'snappy') return Buffer.concat([packed.subarray(0, 16), chain(packed.subarray(16))]);
  if (codec === 'lz4') return Buffer.concat([packed.subarray(0, 7), chain(packed.subarray(7, -4)), Buffer.alloc(4)]);
  return zlib.zstdCompressSync(Buffer.alloc(2 ** 28));
}
