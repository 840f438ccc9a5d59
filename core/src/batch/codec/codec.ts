/**
 * The five codecs of a record batch's record section. All calls are synchronous: on one core they move 200 to 500 MB/s of plain
 * bytes, so a batch of 1 MiB costs 2 to 5 ms, and whoever works through many large ones belongs in a worker thread.
 *
 * Decompression never gives, and never allocates for, more than `maxBytes`: what would be larger is refused. Checksums inside a
 * codec's own format are looked at only where its library does so; the batch's CRC has covered the compressed bytes.
 */
import zlib from 'node:zlib';
import { StorageError } from '../../errors.ts';
import type { Codec } from '../header.ts';
import { compressLz4, decompressLz4 } from './lz4.ts';
import { compressSnappy, decompressSnappy } from './snappy.ts';

/** What one batch may grow to when it is decompressed. */
export const MAX_DECOMPRESSED_BYTES: number = 64 * 1024 * 1024;

export function compress(codec: Codec, plain: Uint8Array): Uint8Array {
  switch (codec) {
    case 'none':
      return plain;
    case 'gzip':
      return zlib.gzipSync(plain);
    case 'snappy':
      return compressSnappy(plain);
    case 'lz4':
      return compressLz4(plain);
    case 'zstd':
      return zlib.zstdCompressSync(plain);
  }
}

/** @throws BATCH_INVALID when the bytes are not what the codec writes, or hold more than `maxBytes`. */
export function decompress(
  codec: Codec,
  compressed: Uint8Array,
  maxBytes: number = MAX_DECOMPRESSED_BYTES,
): Uint8Array {
  switch (codec) {
    case 'none':
      return compressed;
    case 'gzip':
      return inflate('gzip', zlib.gunzipSync, compressed, maxBytes);
    case 'snappy':
      return decompressSnappy(compressed, maxBytes);
    case 'lz4':
      return decompressLz4(compressed, maxBytes);
    case 'zstd':
      return inflate('zstd', zlib.zstdDecompressSync, compressed, maxBytes);
  }
}

type ZlibDecompress = (bytes: Uint8Array, options: { info: true; maxOutputLength: number }) => unknown;

function inflate(codec: Codec, run: ZlibDecompress, compressed: Uint8Array, maxBytes: number): Uint8Array {
  let result: unknown;
  try {
    result = run(compressed, { info: true, maxOutputLength: maxBytes });
  } catch (cause) {
    throw inflateFailure(codec, compressed, maxBytes, cause);
  }
  return asInflated(codec, compressed, result);
}

export function inflateFailure(codec: Codec, compressed: Uint8Array, maxBytes: number, cause: unknown): StorageError {
  const tooLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'; // zlib throws nothing else
  const what = tooLarge ? `hold more than ${maxBytes} bytes` : 'are damaged or cut off';
  return new StorageError('BATCH_INVALID', `${compressed.length} bytes of ${codec} ${what}`, { cause });
}

/** @throws BATCH_INVALID */
export function asInflated(codec: Codec, compressed: Uint8Array, result: unknown): Uint8Array {
  // with `info` zlib gives back the stream as well, which tells how much of the input it used; Node's types leave that out
  const { buffer, engine } = result as { buffer: Uint8Array; engine: { bytesWritten: number } };
  if (engine.bytesWritten !== compressed.length)
    throw new StorageError('BATCH_INVALID', `the ${codec} data ends before the batch does`);
  return buffer;
}
