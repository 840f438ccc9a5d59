/**
 * Puts images of sealed segments: what comes whole (`ingest`) and what compaction makes of runs. A large one is an object of its own, put in parts
 * while it is being made; small ones that come together share an object. The row that leads to an image is written after it is whole.
 */
import { StorageError } from '@robustmq/core';
import type { Environment, Files } from './environment.ts';
import { type ImageSummary, writeImage } from './image/image-writer.ts';
import { segmentObject, sharedObject } from './keys.ts';
import {
  type ObjectRow,
  objectCodec,
  objectKey,
  type Place,
  type SegmentRow,
  segmentCodec,
  segmentKey,
} from './meta/rows.ts';
import type { SteadyOptions } from './store/steady-store.ts';

/** An image below this many bytes shares an object with others. */
export const SMALL_IMAGE_BYTES: number = 1024 * 1024;
/** A shared object takes no more once it has so many bytes or images. */
const SHARED_BYTES = 16 * 1024 * 1024;
const SHARED_IMAGES = 256;
/** How long a small image waits for others, ms. */
const GATHER_MS = 20;

export interface ImageRequest {
  readonly id: string;
  readonly range: { readonly base: number; readonly end: number; readonly epoch: number };
  /** Of the segment: names its rows. */
  readonly uid: string;
  readonly state: Uint8Array;
  /** Whole batches in order; each chunk may be overwritten by the source once the next one is asked for. */
  readonly batches: AsyncIterable<Uint8Array>;
  /** How many bytes they are, about, where that is known. */
  readonly bytes?: number | undefined;
  readonly lane: 'hot' | 'upkeep';
  /** The row that leads to the image, once it is there. */
  row(place: Place, summary: ImageSummary): SegmentRow;
  /** Of the row that it replaces; 0: there is none. */
  readonly revision: number;
}

export interface PutImage {
  readonly place: Place;
  readonly summary: ImageSummary;
  /** False: the segment's row was no longer as expected, and the image is garbage. */
  readonly committed: boolean;
}

interface Gathered {
  readonly request: ImageRequest;
  readonly image: Uint8Array;
  readonly summary: ImageSummary;
  resolve(put: PutImage): void;
  reject(error: unknown): void;
}

export class Images {
  readonly #environment: Environment;
  #gathered: Gathered[] = [];
  #gatheredBytes = 0;
  #timer: { cancel(): void } | undefined;
  #closed = false;
  readonly #putting = new Set<Promise<void>>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  async put(request: ImageRequest): Promise<PutImage> {
    const written = writeImage(
      {
        uid: request.uid.replaceAll('-', ''),
        ...request.range,
        state: request.state,
        blockBytes: this.#environment.blockBytes,
      },
      request.batches,
    );
    const source = written.chunks[Symbol.asyncIterator]();
    const head: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      const next = await source.next();
      if (next.done === true) return await this.#share(request, Buffer.concat(head), written.summary());
      // the source may overwrite its chunk
      head.push(Uint8Array.prototype.slice.call(next.value));
      bytes += next.value.length;
      if (bytes >= Math.min(SMALL_IMAGE_BYTES, this.#environment.partBytes)) break;
    }
    const chunks = joined(head, source);
    const { files } = this.#environment;
    if (files !== undefined && (request.bytes ?? 0) < files.fileBytes)
      return await this.#append(files, request, chunks, () => written.summary());
    return await this.#putAlone(request, chunks, () => written.summary());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    for (const { reject } of this.#gathered.splice(0)) reject(new StorageError('CLOSED', 'The engine is closed'));
    await Promise.allSettled([...this.#putting]);
  }

  async #putAlone(
    request: ImageRequest,
    chunks: AsyncIterable<Uint8Array>,
    summary: () => ImageSummary,
  ): Promise<PutImage> {
    const { names, store, random, partBytes } = this.#environment;
    const uid = random.uuid();
    const object = segmentObject(request.id, request.range, uid);
    await this.#plan(object, { kind: 'segment', state: 'planned' });
    let objectBytes: number;
    let strayed = false;
    try {
      objectBytes = await store.putStream(names.keyOf(object), chunks, uid, {
        for: [{ segment: request.id, share: 1 }],
        lane: request.lane,
        partBytes,
        strayed: () => {
          strayed = true;
          this.#environment.strayed(object);
        },
        begun: (upload) => this.#plan(object, { kind: 'segment', state: 'planned', upload }),
      });
    } catch (error) {
      this.#environment.doubt(object);
      throw error;
    }
    const place: Place = { object, at: 0, bytes: objectBytes, objectBytes };
    const [committed] = await this.#commit(object, strayed, [{ request, place, summary: summary() }]);
    return { place, summary: summary(), committed: committed ?? false };
  }

  /** Behind others in a file, so that files are few. */
  async #append(
    { pack }: Files,
    request: ImageRequest,
    chunks: AsyncIterable<Uint8Array>,
    summary: () => ImageSummary,
  ): Promise<PutImage> {
    const shares = [{ segment: request.id, share: 1 }];
    const { object, from, bytes, settled } = await pack.stream(chunks, { for: shares, lane: request.lane });
    try {
      const place: Place = { object, from, at: 0, bytes, objectBytes: bytes };
      const [committed] = await this.#commit(object, false, [{ request, place, summary: summary() }]);
      return { place, summary: summary(), committed: committed ?? false };
    } finally {
      settled();
    }
  }

  #share(request: ImageRequest, image: Uint8Array, summary: ImageSummary): Promise<PutImage> {
    if (this.#closed) return Promise.reject(new StorageError('CLOSED', 'The engine is closed'));
    return new Promise((resolve, reject) => {
      this.#gathered.push({ request, image, summary, resolve, reject });
      this.#gatheredBytes += image.length;
      if (this.#gatheredBytes >= SHARED_BYTES || this.#gathered.length >= SHARED_IMAGES) this.#putGathered();
      else this.#timer ??= this.#environment.clock.timer(GATHER_MS, () => this.#putGathered());
    });
  }

  #putGathered(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#gatheredBytes = 0;
    const gathered = this.#gathered.splice(0);
    if (gathered.length === 0) return;
    const put = this.#putShared(gathered)
      .catch((error: unknown) => {
        for (const { reject } of gathered) reject(error);
      })
      .finally(() => void this.#putting.delete(put));
    this.#putting.add(put);
  }

  async #putShared(gathered: readonly Gathered[]): Promise<void> {
    const objectBytes = gathered.reduce((sum, { image }) => sum + image.length, 0);
    const { object, from, strayed, settled } = await this.#putTogether(gathered, objectBytes);
    try {
      let at = 0;
      const placed = gathered.map(({ request, image, summary }) => {
        const place: Place = { object, at, bytes: image.length, objectBytes, ...(from === undefined ? {} : { from }) };
        at += image.length;
        return { request, place, summary };
      });
      const committed = await this.#commit(object, strayed, placed);
      for (const [i, { resolve, summary }] of gathered.entries()) {
        const place = placed[i]?.place;
        if (place !== undefined) resolve({ place, summary, committed: committed[i] ?? false });
      }
    } finally {
      settled();
    }
  }

  async #putTogether(
    gathered: readonly Gathered[],
    bytes: number,
  ): Promise<{ object: string; from?: number; strayed: boolean; settled(): void }> {
    const { names, store, random, life, files } = this.#environment;
    const images = gathered.map(({ image }) => image);
    const options: SteadyOptions = {
      for: gathered.map(({ request, image }) => ({ segment: request.id, share: image.length / bytes })),
      lane: gathered.every(({ request }) => request.lane === 'upkeep') ? 'upkeep' : 'hot',
    };
    if (files !== undefined) return { ...(await files.pack.append(() => images, options)), strayed: false };
    const uid = random.uuid();
    const alone = gathered.length === 1 ? gathered[0]?.request : undefined;
    const object = alone === undefined ? sharedObject(life.name, uid) : segmentObject(alone.id, alone.range, uid);
    let strayed = false;
    await this.#plan(object, { kind: 'segment', state: 'planned' });
    try {
      await store.put(names.keyOf(object), images, uid, {
        ...options,
        strayed: () => {
          strayed = true;
          this.#environment.strayed(object);
        },
      });
    } catch (error) {
      this.#environment.doubt(object);
      throw error;
    }
    return { object, strayed, settled: () => {} };
  }

  async #plan(object: string, row: Omit<ObjectRow, 'life'>): Promise<void> {
    await planObject(this.#environment, object, row);
  }

  /** The object is whole: one row for it, and one for each segment in it, each atomic alone. */
  async #commit(
    object: string,
    strayed: boolean,
    placed: readonly { readonly request: ImageRequest; readonly place: Place; readonly summary: ImageSummary }[],
  ): Promise<boolean[]> {
    const { meta, life, random, objects } = this.#environment;
    const stored = objectCodec.encode({
      kind: 'segment',
      state: 'stored',
      life: life.name,
      ...(strayed ? { strayed } : {}),
    });
    const results = await meta.commitEach([
      { id: random.uuid(), guards: [life.guard], puts: [{ key: objectKey(object), value: stored }] },
      ...placed.map(({ request, place, summary }) => {
        const key = segmentKey(request.id);
        return {
          id: random.uuid(),
          guards: [{ key, revision: request.revision }, life.guard],
          puts: [{ key, value: segmentCodec.encode(request.row(place, summary)) }],
        };
      }),
    ]);
    const committed = results.slice(1).map(({ ok }) => ok);
    objects.stored(
      object,
      placed.filter((_, i) => committed[i]).map(({ request }) => request.uid),
    );
    return committed;
  }
}

async function* joined(head: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    // the source may have something to let go of
    await rest.return?.();
  }
}

/** Meta knows that the object may be there from now on. @throws FENCED */
export async function planObject(
  { meta, life, random }: Pick<Environment, 'meta' | 'life' | 'random'>,
  object: string,
  row: Omit<ObjectRow, 'life'>,
): Promise<void> {
  const value = objectCodec.encode({ ...row, life: life.name });
  const result = await meta.commit({
    id: random.uuid(),
    guards: [life.guard],
    puts: [{ key: objectKey(object), value }],
  });
  if (!result.ok) throw new StorageError('FENCED', 'Another process writes for this node', { outcome: 'none' });
}
