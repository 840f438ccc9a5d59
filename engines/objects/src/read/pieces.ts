import { type Clock, StorageError } from '@robustmq/core';
import type { Lane, Shares, SteadyStore } from '../store/steady-store.ts';
import { Flight } from './flight.ts';
import { Run, type View } from './run.ts';
import { RunCache } from './run-cache.ts';

export const PIECE_BYTES: number = 4 * 1024 * 1024;
/** Who has not read on for so long may have gone: readers stay open long after they were used. */
const STILL_MS = 10_000;

export interface PiecesOptions {
  readonly clock: Clock;
  /** Objects are read in pieces of this size, at multiples of it; {@link PIECE_BYTES} by default. */
  readonly pieceBytes?: number;
  /** What is kept at most, beside what callers hold. */
  readonly cacheBytes: number;
  /** So many missing pieces in a row are asked for at once; 4 by default. */
  readonly mergePieces?: number;
}

export interface FetchOptions {
  readonly for?: Shares;
  readonly lane?: Lane;
  readonly signal?: AbortSignal;
}

/** An object that is never changed once it is there. */
export interface ReadObject {
  readonly key: string;
  readonly objectBytes: number;
}

/**
 * Recently read and written parts of objects, one for each engine instance. Whoever asks for a piece that is on its way waits for that one request.
 * Buffers are never used again: what was handed out stays as it is, also when it is no longer kept here.
 */
export class Pieces {
  readonly pieceBytes: number;
  readonly cacheBytes: number;
  readonly #mergePieces: number;
  readonly #store: Pick<SteadyStore, 'getRange'>;
  readonly #cache: RunCache;
  readonly #flights = new Map<string, Map<number, Flight>>();
  #serial = 0;
  #hits = 0;
  #misses = 0;
  readonly #clock: Clock;
  /** Those who read ahead, and when each did; who did last comes last. */
  readonly #readers = new Map<object, number>();

  constructor(store: Pick<SteadyStore, 'getRange'>, options: PiecesOptions) {
    this.#store = store;
    this.#clock = options.clock;
    this.pieceBytes = options.pieceBytes ?? PIECE_BYTES;
    this.cacheBytes = options.cacheBytes;
    this.#mergePieces = options.mergePieces ?? 4;
    this.#cache = new RunCache(this.pieceBytes, options.cacheBytes);
  }

  /** Bytes that are kept, and how many pieces were asked for that were there, or on their way, and that were not. */
  stats(): { readonly bytes: number; readonly hits: number; readonly misses: number } {
    return { bytes: this.#cache.bytes, hits: this.#hits, misses: this.#misses };
  }

  /**
   * `bytes` bytes of the object from `at`, which it has, in as few views as it takes. They are never changed.
   * @throws ABORTED, and what the store throws
   */
  async range(object: ReadObject, at: number, bytes: number, options: FetchOptions = {}): Promise<readonly View[]> {
    const to = at + bytes;
    if (!(at >= 0 && bytes >= 0 && to <= object.objectBytes))
      throw new StorageError('INVALID_ARGUMENT', `No ${bytes} bytes from ${at} in ${object.objectBytes}`, {
        where: object.key,
      });
    if (options.signal?.aborted === true) throw new StorageError('ABORTED', 'The read was given up');
    if (bytes === 0) return [];
    const first = Math.floor(at / this.pieceBytes);
    const last = Math.floor((to - 1) / this.pieceBytes);
    const found = this.#find(object, first, last, options);
    const views: View[] = [];
    let position = at;
    // all at once: when one fails, the others must not be left without anybody who hears of it
    for (const run of await Promise.all(found)) {
      if (run.to <= position) continue;
      const until = Math.min(to, run.to);
      run.addViews(position, until, views);
      position = until;
    }
    return views;
  }

  /** The same without a request: `undefined` unless all of it is kept. */
  kept(object: ReadObject, at: number, bytes: number): readonly View[] | undefined {
    const views: View[] = [];
    for (let position = at; position < at + bytes; ) {
      const run = this.#cache.get(object.key, Math.floor(position / this.pieceBytes));
      if (run === undefined || run.to <= position) return undefined;
      const until = Math.min(at + bytes, run.to);
      run.addViews(position, until, views);
      position = until;
    }
    return views;
  }

  /** Keeps a whole object that was stored just now. The chunks must not be changed any more. */
  put(key: string, chunks: readonly Uint8Array[]): void {
    this.drop(key);
    this.#cache.add(new Run(this.#serial++, key, 0, chunks));
  }

  /** Forgets an object. */
  drop(key: string): void {
    this.#cache.drop(key);
    // what is on its way is for those that wait, and not kept
    this.#flights.delete(key);
  }

  clear(): void {
    this.#cache.clear();
    this.#flights.clear();
  }

  /** How many pieces each of those that read ahead may have in front of it, so that together they leave half of the cache to others. */
  get aheadShare(): number {
    const since = this.#clock.monotonic() - STILL_MS;
    for (const [reader, at] of this.#readers) {
      if (at >= since) break;
      this.#readers.delete(reader);
    }
    return Math.floor(this.cacheBytes / 2 / this.pieceBytes / Math.max(1, this.#readers.size));
  }

  /** `reader` reads ahead: it has a share until it rests, or has not been heard of for a while. */
  goesAhead(reader: object): void {
    this.#readers.delete(reader);
    this.#readers.set(reader, this.#clock.monotonic());
  }

  rests(reader: object): void {
    this.#readers.delete(reader);
  }

  /** What holds the pieces, in order; a run or a flight may come more than once. */
  #find(object: ReadObject, first: number, last: number, options: FetchOptions): (Run | Promise<Run>)[] {
    const found: (Run | Promise<Run>)[] = [];
    for (let piece = first; piece <= last; ) {
      const there = this.#there(object, piece, options.signal);
      if (there !== undefined) {
        this.#hits++;
        found.push(there);
        piece++;
        continue;
      }
      let until = piece + 1;
      while (until <= last && until - piece < this.#mergePieces && !this.#has(object.key, until)) until++;
      this.#misses += until - piece;
      found.push(this.#fetch(object, piece, until, options).wait(options.signal));
      piece = until;
    }
    return found;
  }

  #there(object: ReadObject, piece: number, signal: AbortSignal | undefined): Run | Promise<Run> | undefined {
    return this.#cache.get(object.key, piece) ?? this.#flights.get(object.key)?.get(piece)?.wait(signal);
  }

  #has(key: string, piece: number): boolean {
    return this.#cache.get(key, piece) !== undefined || this.#flights.get(key)?.has(piece) === true;
  }

  #fetch(object: ReadObject, from: number, until: number, options: FetchOptions): Flight {
    const { key, objectBytes } = object;
    const at = from * this.pieceBytes;
    const bytes = Math.min(until * this.pieceBytes, objectBytes) - at;
    const pieces = this.#flights.get(key) ?? new Map<number, Flight>();
    this.#flights.set(key, pieces);
    /** @returns whether it was still wanted for the cache */
    const land = (): boolean => {
      const wanted = this.#flights.get(key) === pieces;
      for (let piece = from; piece < until; piece++) if (pieces.get(piece) === flight) pieces.delete(piece);
      if (wanted && pieces.size === 0) this.#flights.delete(key);
      return wanted;
    };
    const start = async (signal: AbortSignal): Promise<Run> => {
      try {
        const { for: shares, lane } = options;
        const got = await this.#store.getRange(key, at, bytes, {
          ...(shares === undefined ? {} : { for: shares }),
          ...(lane === undefined ? {} : { lane }),
          signal,
        });
        const run = new Run(this.#serial++, key, at, [got]);
        if (land()) this.#cache.add(run);
        return run;
      } catch (error) {
        land();
        throw error;
      }
    };
    const flight = new Flight(start, land);
    for (let piece = from; piece < until; piece++) pieces.set(piece, flight);
    return flight;
  }
}
