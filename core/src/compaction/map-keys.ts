import { checkShape } from '../batch/check.ts';
import { MAX_DECOMPRESSED_BYTES } from '../batch/codec/codec.ts';
import { nextOffset } from '../batch/header.ts';
import { KeyMap } from './key-map.ts';
import type { Pace } from './pace.ts';
import { readable, standsAside } from './readable.ts';

/**
 * What the records in `chunks` (whole batches, ascending, from `from` on or before) say about their keys, up to `maxKeys` keys. Stops reading when
 * that many are in.
 */
export async function mapKeys(
  chunks: AsyncIterable<Uint8Array>,
  options: {
    readonly from: number;
    readonly maxKeys: number;
    readonly maxDecompressedBytes?: number;
    readonly pace?: Pace;
  },
): Promise<KeyMap> {
  const keys = new KeyMap(options.from, options.maxKeys);
  for await (const chunk of chunks)
    if (!(await mapChunk(keys, chunk, options.maxDecompressedBytes ?? MAX_DECOMPRESSED_BYTES, options.pace))) break;
  return keys;
}

/** False when the map is full. */
async function mapChunk(keys: KeyMap, chunk: Uint8Array, maxBytes: number, pace: Pace | undefined): Promise<boolean> {
  for (let at = 0; at < chunk.length; ) {
    await pace?.turn();
    const header = checkShape(chunk, at);
    if (nextOffset(header) > keys.from && !standsAside(header)) {
      const full = await mapBatch(keys, chunk, at, maxBytes);
      if (full !== undefined) {
        keys.to = full;
        return false;
      }
    }
    keys.to = Math.max(keys.to, nextOffset(header));
    at += header.bytes;
  }
  return true;
}

/** The first offset the map had no room for, if there is one. */
async function mapBatch(keys: KeyMap, chunk: Uint8Array, at: number, maxBytes: number): Promise<number | undefined> {
  const cursor = await readable(chunk, at, maxBytes);
  if (cursor === undefined) return undefined;
  while (cursor.next()) {
    const key = cursor.offset < keys.from ? null : cursor.key;
    // what went in before stays right: the record an entry points to is kept, and everything older may go
    if (key !== null && !keys.put(key, cursor.offset)) return cursor.offset;
  }
  return undefined;
}
