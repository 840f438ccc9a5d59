import type { StorageError } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import type { Placement } from '../src/image/format.ts';
import { type ImageReader, type OpenImageOptions, openImage } from '../src/image/image-reader.ts';
import { encodeImage, type ImageSummary } from '../src/image/image-writer.ts';
import { IndexCache } from '../src/image/index-cache.ts';
import { Pieces, type PiecesOptions } from '../src/read/pieces.ts';
import { StoredObjects } from './stored-objects.ts';

export const UID = '00112233445566778899aabbccddeeff';

export interface TestImage {
  readonly bytes: Uint8Array;
  readonly summary: ImageSummary;
}

export function image(
  batches: readonly Uint8Array[],
  options: { readonly base: number; readonly end: number; readonly blockBytes?: number; readonly state?: Uint8Array },
): TestImage {
  const { chunks, summary } = encodeImage({ uid: UID, epoch: 3, state: Buffer.from('a fold'), ...options }, batches);
  return { bytes: Buffer.concat(chunks), summary };
}

/** A store with one object of some images, and what reads it. */
export class ImageWorld {
  readonly store: StoredObjects = new StoredObjects();
  readonly clock: VirtualClock = new VirtualClock();
  readonly pieces: Pieces;
  readonly indexes: IndexCache;

  constructor(options: Partial<PiecesOptions> & { readonly indexBytes?: number } = {}) {
    this.pieces = new Pieces(this.store, { clock: this.clock, cacheBytes: 1 << 20, ...options });
    this.indexes = new IndexCache(this.store, this.pieces, { limitBytes: options.indexBytes ?? 1 << 20 });
  }

  /** Stores the images one behind the other under `key`. */
  place(key: string, ...images: readonly TestImage[]): Placement[] {
    const object = Buffer.concat(images.map(({ bytes }) => bytes));
    this.store.objects.set(key, object);
    let at = 0;
    return images.map(({ bytes }) => {
      const placement = { key, at, bytes: bytes.length, objectBytes: object.length };
      at += bytes.length;
      return placement;
    });
  }

  open(placement: Placement | undefined, options: Partial<OpenImageOptions> = {}): Promise<ImageReader> {
    if (placement === undefined) throw new Error('there is no such image');
    return openImage(this.pieces, placement, { indexes: this.indexes, readAheadPieces: 0, ...options });
  }
}

/** All from `from` on, in reads of `maxBytes`. */
export async function readAll(reader: ImageReader, from: number, maxBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const { committed } = reader.offsets();
  for (let next = from; next < committed; ) {
    const read = await reader.read(next, { maxBytes });
    if (read.next <= next) throw new Error(`a read from ${next} goes on at ${read.next}`);
    parts.push(read.bytes);
    next = read.next;
  }
  return Buffer.concat(parts);
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'nothing',
    (error: StorageError) => error.code,
  );
}
