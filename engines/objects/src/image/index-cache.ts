import { crc32c } from '@node-rs/crc32';
import { StorageError } from '@robustmq/core';
import { isAppended } from '../read/appended.ts';
import type { FetchOptions, Pieces } from '../read/pieces.ts';
import { joinViews } from '../read/run.ts';
import type { SteadyStore } from '../store/steady-store.ts';
import { BlockIndex } from './block-index.ts';
import { decodeFooter, FOOTER_BYTES, HEADER_BYTES, isTrouble, type Placement } from './format.ts';
import { corrupt, troubleOf } from './image-error.ts';
import { LoadedImage } from './loaded-image.ts';
import { fetchedTwice } from './twice.ts';

/** Read at once from the end of an image: has the index of a segment of 256 MiB in blocks of 256 KiB. Smaller images are read as pieces. */
export const TAIL_BYTES: number = 64 * 1024;

type Store = Pick<SteadyStore, 'getRange' | 'getTail'>;

/** Indexes of images that were read lately, at most `limit` bytes of them. */
export class IndexCache {
  readonly #store: Store;
  readonly #pieces: Pieces;
  readonly #limit: number;
  /** In the order of their last use. */
  readonly #images = new Map<string, LoadedImage>();
  readonly #loading = new Map<string, Promise<LoadedImage>>();
  #bytes = 0;

  constructor(store: Store, pieces: Pieces, options: { readonly limitBytes: number }) {
    this.#store = store;
    this.#pieces = pieces;
    this.#limit = options.limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws CORRUPT, FORMAT_TOO_NEW, and what the store throws */
  async load(place: Placement, options: FetchOptions): Promise<LoadedImage> {
    const name = nameOf(place);
    const there = this.#images.get(name);
    if (there !== undefined) {
      this.#images.delete(name);
      this.#images.set(name, there);
      return there;
    }
    const before = this.#loading.get(name);
    if (before !== undefined) return await before;
    // others may wait for it too: not to be given up by the first
    const { signal: _, ...unstoppable } = options;
    const load = (): Promise<LoadedImage> => this.#load(place, unstoppable);
    const loading = fetchedTwice(this.#pieces, place.key, load).finally(() => {
      if (this.#loading.get(name) === loading) this.#loading.delete(name);
    });
    this.#loading.set(name, loading);
    const image = await loading;
    if (this.#loading.get(name) === undefined && !this.#images.has(name)) this.#keep(name, image);
    return image;
  }

  /** Forgets the images of an object. */
  drop(key: string): void {
    for (const [name, image] of this.#images) {
      if (!name.startsWith(`${key}\n`)) continue;
      this.#images.delete(name);
      this.#bytes -= image.bytes;
    }
  }

  /** Part of an image that isn't one of its blocks. */
  async part(place: Placement, at: number, bytes: number, options: FetchOptions): Promise<Uint8Array> {
    if (bytes === 0) return new Uint8Array(0);
    const kept = this.#pieces.kept(place, place.at + at, bytes);
    if (kept !== undefined) return joinViews(kept);
    if (place.bytes <= TAIL_BYTES) return joinViews(await this.#pieces.range(place, place.at + at, bytes, options));
    return await this.#store.getRange(place.key, place.at + at, bytes, options);
  }

  async #load(place: Placement, options: FetchOptions): Promise<LoadedImage> {
    checkPlace(place);
    const tail = await this.#tail(place, options);
    const footer = decodeFooter(tail.subarray(tail.length - FOOTER_BYTES));
    if (isTrouble(footer)) throw troubleOf(place, footer);
    if (footer.imageBytes !== place.bytes)
      throw corrupt(place, `it says that it has ${footer.imageBytes} bytes, ${place.bytes} were stored`);
    const { indexAt, indexBytes, indexCrc } = footer;
    const inTail = Math.min(indexBytes, tail.length - FOOTER_BYTES);
    const rest = await this.part(place, indexAt, indexBytes - inTail, options);
    const end = tail.length - FOOTER_BYTES;
    // a copy: the tail has more than what is kept
    const index = Buffer.concat([rest, tail.subarray(end - inTail, end)]);
    if (crc32c(index) !== indexCrc) throw corrupt(place, 'its index is damaged');
    const blocks = new BlockIndex(index);
    if (!blocks.fits(footer)) throw corrupt(place, 'its index does not add up');
    return new LoadedImage(footer, blocks);
  }

  async #tail(place: Placement, options: FetchOptions): Promise<Uint8Array> {
    const { key, at, bytes, objectBytes } = place;
    const wanted = Math.min(bytes, TAIL_BYTES);
    // only of a whole object the store knows where it ends
    if (bytes <= TAIL_BYTES || at + bytes < objectBytes || isAppended(key))
      return await this.part(place, bytes - wanted, wanted, options);
    const kept = this.#pieces.kept(place, at + bytes - wanted, wanted);
    if (kept !== undefined) return joinViews(kept);
    const { bytes: tail, size } = await this.#store.getTail(key, wanted, options);
    if (size !== objectBytes || tail.length !== wanted)
      throw corrupt(place, `the object has ${size} bytes, ${objectBytes} were stored`);
    return tail;
  }

  #keep(name: string, image: LoadedImage): void {
    this.#images.set(name, image);
    this.#bytes += image.bytes;
    for (const [oldest, { bytes }] of this.#images) {
      if (this.#bytes <= this.#limit) break;
      this.#images.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}

function nameOf({ key, at, bytes, objectBytes }: Placement): string {
  return `${key}\n${at} ${bytes} ${objectBytes}`;
}

function checkPlace(place: Placement): void {
  const { at, bytes, objectBytes } = place;
  if (![at, bytes, objectBytes].every((one) => Number.isSafeInteger(one)) || at < 0 || at + bytes > objectBytes)
    throw new StorageError('INVALID_ARGUMENT', `No ${bytes} bytes from ${at} in ${objectBytes}`, { where: place.key });
  if (bytes < HEADER_BYTES + FOOTER_BYTES) throw corrupt(place, `${bytes} bytes are no segment`);
}
