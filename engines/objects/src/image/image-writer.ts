import { crc32c } from '@node-rs/crc32';
import { forEachBatch, headerDigest, nextOffset, StorageError } from '@robustmq/core';
import { type Block, encodeBlocks } from './block-index.ts';
import { encodeFooter, encodeHeader, FOOTER_BYTES, HEADER_BYTES, type ImageHeader } from './format.ts';

export const BLOCK_BYTES: number = 256 * 1024;

export interface ImageOptions extends ImageHeader {
  /** One past the last offset the segment stands for. */
  readonly end: number;
  /** Core's fold at `base`. */
  readonly state: Uint8Array;
  /** A block has at most so many, unless a single batch has more; {@link BLOCK_BYTES} by default. */
  readonly blockBytes?: number;
}

export interface ImageSummary {
  /** Of all batches, as in IngestResult. */
  readonly bytes: number;
  /** The digest of the headers of all batches, as in IngestResult. */
  readonly crc: number;
  readonly imageBytes: number;
  /** Smallest base timestamp and largest timestamp of all batches; -1 without any. */
  readonly minTs: number;
  readonly maxTs: number;
  readonly blocks: number;
}

/**
 * The image of a segment as a stream. The chunks of `batches` (whole batches, offsets ascending, in [base, end)) are passed on as they are, not copied: each belongs to
 * whoever takes it until the next is asked for, and no longer, if the source uses its buffers again.
 * @throws BATCH_INVALID from the stream, for batches that don't belong in it
 */
export function writeImage(
  options: ImageOptions,
  batches: AsyncIterable<Uint8Array>,
): { readonly chunks: AsyncIterable<Uint8Array>; summary(): ImageSummary } {
  const builder = new ImageBuilder(options);
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield builder.header();
    for await (const chunk of batches) {
      if (chunk.length === 0) continue;
      builder.add(chunk);
      yield chunk;
    }
    yield* builder.finish();
  }
  return { chunks: stream(), summary: () => builder.summary() };
}

/** The same at once, for a small segment: the chunks of `batches` with what belongs around them. Nothing is copied. */
export function encodeImage(
  options: ImageOptions,
  batches: readonly Uint8Array[],
): { readonly chunks: readonly Uint8Array[]; readonly summary: ImageSummary } {
  const builder = new ImageBuilder(options);
  const chunks = [builder.header()];
  for (const chunk of batches) {
    if (chunk.length === 0) continue;
    builder.add(chunk);
    chunks.push(chunk);
  }
  chunks.push(...builder.finish());
  return { chunks, summary: builder.summary() };
}

class ImageBuilder {
  readonly #options: ImageOptions;
  readonly #blockBytes: number;
  readonly #blocks: Block[] = [];
  #open: { -readonly [K in keyof Block]: Block[K] } | undefined;
  #next: number;
  #bytes = 0;
  #digest = 0;
  #summary: ImageSummary | undefined;

  constructor(options: ImageOptions) {
    if (!/^[0-9a-f]{32}$/.test(options.uid))
      throw new StorageError('INVALID_ARGUMENT', `The uid of an image is 32 hexadecimal digits, not ${options.uid}`);
    this.#options = options;
    this.#blockBytes = options.blockBytes ?? BLOCK_BYTES;
    this.#next = options.base;
  }

  header(): Uint8Array {
    return encodeHeader(this.#options);
  }

  add(chunk: Uint8Array): void {
    let from = 0;
    forEachBatch(chunk, (header, at) => {
      const { baseOffset: base, bytes, baseTimestamp, maxTimestamp } = header;
      const end = nextOffset(header);
      if (!(base >= this.#next && end <= this.#options.end))
        throw new StorageError(
          'BATCH_INVALID',
          `A batch of offsets ${base} to ${end} where ${this.#next} to ${this.#options.end} belongs`,
        );
      const at0 = HEADER_BYTES + this.#bytes;
      if (this.#open !== undefined && at0 - this.#open.position + bytes > this.#blockBytes) {
        this.#cover(chunk, from, at);
        this.#seal();
        from = at;
      }
      const open = this.#open;
      if (open === undefined)
        this.#open = {
          ...{ base, end, position: at0, bytes, crc: 0, batches: 1 },
          ...{ minTs: baseTimestamp, maxTs: maxTimestamp },
        };
      else {
        open.end = end;
        open.bytes += bytes;
        open.batches++;
        open.minTs = Math.min(open.minTs, baseTimestamp);
        open.maxTs = Math.max(open.maxTs, maxTimestamp);
      }
      this.#next = end;
      this.#bytes += bytes;
      this.#digest = headerDigest(this.#digest, chunk, at);
    });
    this.#cover(chunk, from, chunk.length);
  }

  /** What lies behind the batches. */
  finish(): readonly Uint8Array[] {
    this.#seal();
    const { uid, base, end, epoch, state } = this.#options;
    const index = encodeBlocks(this.#blocks);
    const stateAt = HEADER_BYTES + this.#bytes;
    const indexAt = stateAt + state.length;
    const imageBytes = indexAt + index.length + FOOTER_BYTES;
    const blocks = this.#blocks.length;
    const minTs = this.#blocks.reduce((least, block) => Math.min(least, block.minTs), this.#blocks[0]?.minTs ?? -1);
    const maxTs = this.#blocks.reduce((most, block) => Math.max(most, block.maxTs), this.#blocks[0]?.maxTs ?? -1);
    const footer = encodeFooter({
      ...{ uid, base, end, epoch, blocks, batchBytes: this.#bytes, imageBytes, digest: this.#digest, minTs, maxTs },
      ...{ stateAt, stateBytes: state.length, stateCrc: crc32c(state) },
      ...{ indexAt, indexBytes: index.length, indexCrc: crc32c(index) },
    });
    this.#summary = { bytes: this.#bytes, crc: this.#digest, imageBytes, minTs, maxTs, blocks };
    return [state, Buffer.concat([index, footer])].filter((chunk) => chunk.length > 0);
  }

  summary(): ImageSummary {
    if (this.#summary === undefined)
      throw new StorageError('INVALID_ARGUMENT', 'The image has not been written to its end');
    return this.#summary;
  }

  #cover(chunk: Uint8Array, from: number, to: number): void {
    if (this.#open !== undefined && to > from) this.#open.crc = crc32c(chunk.subarray(from, to), this.#open.crc);
  }

  #seal(): void {
    if (this.#open !== undefined) this.#blocks.push(this.#open);
    this.#open = undefined;
  }
}
