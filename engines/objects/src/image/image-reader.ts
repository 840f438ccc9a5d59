import { crc32c } from '@node-rs/crc32';
import {
  nextOffset,
  type SegmentOffsets,
  type SegmentRead,
  type SegmentReader,
  type SegmentState,
  StorageError,
} from '@robustmq/core';
import type { FetchOptions, Pieces } from '../read/pieces.ts';
import { ReadAhead } from '../read/read-ahead.ts';
import { joinViews } from '../read/run.ts';
import { batchesUpTo, findBatch } from './batches-in-block.ts';
import { decodeHeader, HEADER_BYTES, type ImageFooter, isTrouble, type Placement } from './format.ts';
import { corrupt, troubleOf } from './image-error.ts';
import type { IndexCache } from './index-cache.ts';
import { type LoadedImage, serialsOf } from './loaded-image.ts';
import { type Trail, Trails } from './trails.ts';
import { fetchedTwice } from './twice.ts';

/** One read gives no more, whatever is asked for, unless a single batch has more. */
export const MAX_READ_BYTES: number = 16 * 1024 * 1024;

export interface OpenImageOptions extends FetchOptions {
  readonly indexes: IndexCache;
  /** How many pieces are fetched ahead at most of a reader that goes from one batch to the next; 0: none. */
  readonly readAheadPieces: number;
  /** What the image must say of itself: an object in another's place is CORRUPT. */
  readonly expect?: Partial<Pick<ImageFooter, 'uid' | 'base' | 'end' | 'epoch' | 'digest'>>;
}

/**
 * A reader of a sealed segment in an object. All that it gives was checked against its CRC.
 * @throws SEGMENT_LOST, CORRUPT, FORMAT_TOO_NEW, IO_ERROR
 */
export async function openImage(pieces: Pieces, place: Placement, options: OpenImageOptions): Promise<ImageReader> {
  const { indexes, readAheadPieces, expect = {}, signal, ...fetch } = options;
  const image = await indexes.load(place, { ...fetch, ...(signal === undefined ? {} : { signal }) });
  for (const [name, wanted] of Object.entries(expect)) {
    const found = image.footer[name as keyof typeof expect]; // as it is declared
    if (wanted !== undefined && found !== wanted)
      throw corrupt(place, `it is of ${name} ${found}, and should be of ${wanted}`);
  }
  return new ImageReader(pieces, indexes, place, image, readAheadPieces, fetch);
}

export class ImageReader implements SegmentReader {
  readonly #pieces: Pieces;
  readonly #indexes: IndexCache;
  readonly #place: Placement;
  readonly #image: LoadedImage;
  readonly #fetch: FetchOptions;
  readonly #trails: Trails;
  #closed = false;

  constructor(
    pieces: Pieces,
    indexes: IndexCache,
    place: Placement,
    image: LoadedImage,
    readAheadPieces: number,
    fetch: FetchOptions,
  ) {
    this.#pieces = pieces;
    this.#indexes = indexes;
    this.#place = place;
    this.#image = image;
    this.#fetch = fetch;
    const end = place.at + image.footer.stateAt;
    this.#trails = new Trails(() => new ReadAhead(pieces, place, end, readAheadPieces, fetch));
  }

  get footer(): ImageFooter {
    return this.#image.footer;
  }

  offsets(): SegmentOffsets {
    const { base, end } = this.#image.footer;
    return { base, committed: end, end, sealed: true };
  }

  async state(): Promise<SegmentState> {
    this.#refuseClosed();
    const { stateAt, stateBytes, stateCrc } = this.#image.footer;
    return await fetchedTwice(this.#pieces, this.#place.key, async () => {
      const state = await this.#indexes.part(this.#place, stateAt, stateBytes, this.#fetch);
      if (crc32c(state) !== stateCrc) throw corrupt(this.#place, 'its state is damaged');
      return state;
    });
  }

  async read(
    from: number,
    { maxBytes, signal }: { readonly maxBytes: number; readonly signal?: AbortSignal },
  ): Promise<SegmentRead> {
    this.#refuseClosed();
    if (signal?.aborted === true)
      throw new StorageError('ABORTED', 'The read was given up', { where: this.#place.key });
    const { index, footer } = this.#image;
    const number = index.blockOf(from);
    if (number === index.count) return { bytes: new Uint8Array(0), next: footer.end };
    const most = Math.min(maxBytes, MAX_READ_BYTES);
    const { trail, position } = this.#trails.at(from);
    const { bytes, start, until } = await this.#from(from, { number, most, trail, known: position, signal });
    // positions from here on are those in `bytes`, which begin with the block
    const origin = index.block(number).position;
    const last = index.block(until);
    const lastAt = last.position - origin;
    const limit = start + most;
    let { end, next } = { end: lastAt + last.bytes, next: last.end };
    if (end > limit) {
      // blocks in front of the last one fit; of it, what does
      ({ end, next } = batchesUpTo(this.#place, bytes, Math.max(start, lastAt), end, limit));
      if (end > limit && lastAt > start) ({ end, next } = { end: lastAt, next: index.block(until - 1).end });
    }
    trail.began = { offset: from, position: origin + start };
    trail.ended = { offset: next, position: origin + end };
    return { bytes: bytes.subarray(start, end), next };
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    this.#refuseClosed();
    const { index } = this.#image;
    const number = index.blockOfTimestamp(timestamp);
    if (number === index.count) return undefined;
    const bytes = await this.#blocks(number, number, undefined);
    const found = findBatch(this.#place, bytes, 0, bytes.length, ({ maxTimestamp }) => maxTimestamp >= timestamp);
    if (found === undefined) throw corrupt(this.#place, `its index is wrong about block ${number}`);
    return found.header.baseOffset;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#trails.close();
  }

  /** Blocks from `number` to `until`, which reach as far as `most` bytes behind the batch that holds `from`, and where that begins in them. */
  async #from(from: number, { number, most, trail, known, signal }: Wanted): Promise<Found> {
    const { index } = this.#image;
    const { position, bytes: length } = index.block(number);
    const until = index.lastBefore((known ?? position) + most, number);
    const { position: lastAt, bytes: lastBytes } = index.block(until);
    const fetching = this.#blocks(number, until, signal);
    trail.ahead.moved(this.#place.at + lastAt + lastBytes, known !== undefined);
    const bytes = await fetching;
    if (known !== undefined) return { bytes, start: known - position, until };
    const first = findBatch(this.#place, bytes, 0, length, (header) => nextOffset(header) > from);
    if (first === undefined) throw corrupt(this.#place, `its index is wrong about block ${number}`);
    const more = index.lastBefore(position + first.at + most, until);
    if (more === until) return { bytes, start: first.at, until };
    return { bytes: await this.#blocks(number, more, signal), start: first.at, until: more };
  }

  /** The bytes of whole blocks in a row, checked. */
  #blocks(number: number, until: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return fetchedTwice(this.#pieces, this.#place.key, () => this.#fetchBlocks(number, until, signal));
  }

  async #fetchBlocks(number: number, until: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { index } = this.#image;
    const first = index.block(number);
    const last = index.block(until);
    // the header comes with the first block, and is checked with it
    const from = number === 0 ? 0 : first.position;
    const views = await this.#pieces.range(
      this.#place,
      this.#place.at + from,
      last.position + last.bytes - from,
      signal === undefined ? this.#fetch : { ...this.#fetch, signal },
    );
    const bytes = joinViews(views);
    for (let i = number; i <= until; i++) {
      const { position, bytes: length, crc } = index.block(i);
      const at = i === 0 ? 0 : position - from;
      const end = position - from + length;
      const serials = serialsOf(views, at, end);
      if (this.#image.isChecked(i, serials)) continue;
      if (i === 0) this.#checkHeader(bytes);
      if (crc32c(bytes.subarray(position - from, end)) !== crc)
        throw corrupt(this.#place, `the bytes from ${this.#place.at + position} on are not those that were stored`);
      this.#image.noteChecked(i, serials);
    }
    return bytes.subarray(first.position - from);
  }

  #checkHeader(bytes: Uint8Array): void {
    const header = decodeHeader(bytes.subarray(0, HEADER_BYTES));
    if (isTrouble(header)) throw troubleOf(this.#place, header);
    const { uid, base, epoch } = this.#image.footer;
    if (header.uid !== uid || header.base !== base || header.epoch !== epoch)
      throw corrupt(this.#place, 'its header and its footer are of two segments');
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StorageError('CLOSED', 'The reader is closed', { where: this.#place.key });
  }
}

interface Wanted {
  /** Of the block that holds the offset. */
  readonly number: number;
  readonly most: number;
  readonly trail: Trail;
  /** Where the batch that holds the offset begins, when the read before has told. */
  readonly known: number | undefined;
  readonly signal: AbortSignal | undefined;
}

interface Found {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly until: number;
}
