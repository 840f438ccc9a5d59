/** Compression for background work: the slow codecs run in a thread of libuv's pool, so that the event loop goes on meanwhile. */
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import type { Codec } from '../header.ts';
import { asInflated, compress, decompress, inflateFailure } from './codec.ts';

const gzip = promisify<Uint8Array, Uint8Array>(zlib.gzip);
const zstdCompress = promisify<Uint8Array, Uint8Array>(zlib.zstdCompress);
const gunzip = promisify<Uint8Array, object, unknown>(zlib.gunzip);
const zstdDecompress = promisify<Uint8Array, object, unknown>(zlib.zstdDecompress);

/** As `compress`. */
export async function compressAside(codec: Codec, plain: Uint8Array): Promise<Uint8Array> {
  if (codec === 'gzip') return gzip(plain);
  if (codec === 'zstd') return zstdCompress(plain);
  return compress(codec, plain);
}

/** As `decompress`. @throws BATCH_INVALID */
export async function decompressAside(codec: Codec, compressed: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  if (codec !== 'gzip' && codec !== 'zstd') return decompress(codec, compressed, maxBytes);
  const run = codec === 'gzip' ? gunzip : zstdDecompress;
  let result: unknown;
  try {
    result = await run(compressed, { info: true, maxOutputLength: maxBytes });
  } catch (cause) {
    throw inflateFailure(codec, compressed, maxBytes, cause);
  }
  return asInflated(codec, compressed, result);
}
