/**
 * A file that this process appends to, and nobody else, until it has its size; then another one. It goes on in a new file after any failure too: what became of the last
 * append is not known then, and some stores refuse the next one for a minute. What nobody was told of is garbage at the end of a file.
 */
import { type Clock, isStorageError, type Random, StorageError } from '@robustmq/core';
import { Backoff, REFUSAL_PATIENCE_MS } from '../store/backoff.ts';
import type { SteadyOptions, SteadyStore } from '../store/steady-store.ts';

export interface GrowingFileOptions {
  readonly store: SteadyStore;
  readonly clock: Clock;
  readonly random: Random;
  /** A file takes no more once it has so many bytes. */
  readonly limitBytes: number;
  readonly patienceMs: number;
  keyOf(object: string): string;
  /** Names the next file; Meta knows that it may be there when this has resolved. */
  next(): Promise<{ readonly object: string; readonly number: number }>;
  /** It is there, and is not to be deleted before `closed`, even if nothing in it is needed any more. */
  opened(object: string): void;
  closed(object: string): void;
  /** Something was appended to it. @returns to be called once rows lead to that, or never will */
  pin(object: string): () => void;
  /** It may or may not be there, and nothing will lead to it. */
  doubt(object: string): void;
}

/** Where something was appended. */
export interface Appended {
  readonly object: string;
  readonly number: number;
  /** Byte in the file. */
  readonly from: number;
  /** To be called once rows lead to it, or never will: until then the file stays. */
  settled(): void;
}

interface OpenFile {
  readonly object: string;
  readonly number: number;
  bytes: number;
}

export class GrowingFile {
  readonly #options: GrowingFileOptions;
  #file: OpenFile | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(options: GrowingFileOptions) {
    this.#options = options;
  }

  /** `body` is made anew for each file that it is tried in. Tried again for as long as there is patience. */
  append(
    body: (file: { readonly number: number }) => readonly Uint8Array[],
    options: SteadyOptions,
  ): Promise<Appended> {
    const attempt = async (): Promise<Appended> => {
      const chunks = body(await this.#current());
      const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
      return await this.#once(chunks, options, () => bytes);
    };
    return this.#inTurn(() => this.#tryAgain(attempt, () => true));
  }

  /** Tried again until something of the chunks has been read: that can't be read again. @returns also how many bytes it was */
  stream(chunks: AsyncIterable<Uint8Array>, options: SteadyOptions): Promise<Appended & { readonly bytes: number }> {
    let isRead = false;
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      isRead = true;
      for await (const chunk of chunks) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    const attempt = (): Promise<Appended> => this.#once(counted(), options, () => bytes);
    return this.#inTurn(async () => ({ ...(await this.#tryAgain(attempt, () => !isRead)), bytes }));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#last;
    this.#roll();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const running = this.#last.then(() => {
      if (this.#closing.signal.aborted) throw new StorageError('CLOSED', 'The engine is closed');
      return run();
    });
    this.#last = running.catch(() => {});
    return running;
  }

  async #tryAgain(attempt: () => Promise<Appended>, mayAgain: () => boolean): Promise<Appended> {
    const { clock, random, patienceMs } = this.#options;
    const backoff = new Backoff(clock, random, patienceMs);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        // a file that somebody has deleted takes nothing more with it: there is another one
        const isPassing = isStorageError(error) && (error.retryable || error.code === 'SEGMENT_LOST');
        if (!isPassing || !mayAgain()) throw error;
        if (error.code === 'STORE_DENIED' && backoff.elapsedMs >= REFUSAL_PATIENCE_MS) throw error;
        if (!(await backoff.wait(this.#closing.signal))) throw error;
      }
    }
  }

  async #once(
    body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
    options: SteadyOptions,
    bytes: () => number,
  ): Promise<Appended> {
    const { store, keyOf, limitBytes } = this.#options;
    const file = await this.#current();
    const { object, number, bytes: from } = file;
    try {
      await store.append(keyOf(object), from, body, options);
    } catch (error) {
      // surely not there: the name is as good for the next try
      if (from === 0 && isStorageError(error) && error.outcome === 'none') throw error;
      if (from === 0) this.#options.doubt(object);
      this.#roll();
      throw error;
    }
    if (from === 0) this.#options.opened(object);
    const settled = this.#options.pin(object);
    file.bytes += bytes();
    if (file.bytes >= limitBytes) this.#roll();
    return { object, number, from, settled };
  }

  async #current(): Promise<OpenFile> {
    this.#file ??= { ...(await this.#options.next()), bytes: 0 };
    return this.#file;
  }

  #roll(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined && file.bytes > 0) this.#options.closed(file.object);
  }
}
