import { forEachBatch, headerDigest, type IngestOptions, type IngestResult, StorageError } from '@robustmq/core';
import type { Environment } from './environment.ts';
import type { Images } from './images.ts';
import type { SegmentRow } from './meta/rows.ts';
import type { Segments } from './segment/segments.ts';

/** Takes a whole sealed segment: its image is put, then one row makes it a segment. */
export async function ingest(
  parts: { readonly environment: Environment; readonly segments: Segments; readonly images: Images },
  id: string,
  options: IngestOptions,
  batches: AsyncIterable<Uint8Array>,
): Promise<IngestResult> {
  const { environment, segments, images } = parts;
  const { base, end, epoch, state, uid: attempt, bytes } = options;
  const before = await earlier(segments, id, attempt);
  if (before !== undefined) return before;
  const uid = environment.random.uuid();
  const digest = new Digest();
  const { committed } = await images.put({
    id,
    range: { base, end, epoch },
    uid,
    state,
    batches: digest.pass(batches),
    bytes,
    lane: 'hot',
    revision: 0,
    row: (place): SegmentRow => ({
      uid,
      life: environment.life.name,
      base,
      epoch,
      end,
      ingest: { attempt, ...digest.result },
      place,
    }),
  });
  if (committed) return digest.result;
  // another attempt was faster, and this image is garbage
  const meanwhile = await earlier(segments, id, attempt);
  if (meanwhile !== undefined) return meanwhile;
  throw new StorageError('FENCED', 'Another process writes for this node', { where: id, outcome: 'none' });
}

/** What the same attempt has stored before. @throws SEGMENT_EXISTS when it was another one */
async function earlier(segments: Segments, id: string, attempt: string): Promise<IngestResult | undefined> {
  const found = await segments.find(id);
  if (found === undefined) return undefined;
  const { ingest: known } = found.row;
  if (known?.attempt !== attempt) throw new StorageError('SEGMENT_EXISTS', 'There is such a segment', { where: id });
  return { bytes: known.bytes, crc: known.crc };
}

class Digest {
  #bytes = 0;
  #crc = 0;

  get result(): IngestResult {
    return { bytes: this.#bytes, crc: this.#crc };
  }

  async *pass(batches: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of batches) {
      forEachBatch(chunk, (_, at) => {
        this.#crc = headerDigest(this.#crc, chunk, at);
      });
      this.#bytes += chunk.length;
      yield chunk;
    }
  }
}
