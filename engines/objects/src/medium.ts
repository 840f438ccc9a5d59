import { type Clock, isStorageError, type Random, StorageError } from '@robustmq/core';
import type { ObjectBackend } from './backend.ts';
import { MARK_OBJECT, type ObjectNames } from './keys.ts';
import { MEDIUM_KEY, mediumCodec } from './meta/rows.ts';
import type { SteadyMeta } from './meta/steady-meta.ts';
import type { SteadyOptions, SteadyStore } from './store/steady-store.ts';

const MARK_BYTES = 64;
const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 5000;
/** How long a request of the first try is tried again: a node starts without its store, and what lies elsewhere need not wait for it. */
const FIRST_PATIENCE_MS = 2000;

/** The cluster that this instance's objects belong to, made up once. */
export async function clusterOf(meta: SteadyMeta, random: Random): Promise<string> {
  for (;;) {
    const found = await meta.get(MEDIUM_KEY);
    if (found !== undefined) return mediumCodec.decode(found.value, found.key).cluster;
    await meta.commit({
      id: random.uuid(),
      guards: [{ key: MEDIUM_KEY, revision: 0 }],
      puts: [{ key: MEDIUM_KEY, value: mediumCodec.encode({ cluster: random.uuid(), marked: false }) }],
    });
  }
}

export interface MediumOptions {
  readonly meta: SteadyMeta;
  readonly store: SteadyStore;
  readonly names: ObjectNames;
  readonly clock: Clock;
  readonly random: Random;
  readonly place: ObjectBackend['place'];
  readonly patienceMs: number;
  /** Called when the store has answered for the first time. */
  prepare(): Promise<void>;
  /** Told when the store can't be confirmed, and why; `undefined` once it is. */
  troubled(error: StorageError | undefined): void;
}

/**
 * Makes sure that the store is the one that holds what Meta says it does: by a mark that names the cluster. A store that can't be reached does not keep a
 * node from starting; whoever needs the instance waits, and is told. One that refuses us, or has no mark, does.
 */
export class Medium {
  readonly #options: MediumOptions;
  #confirmed: Promise<void> | undefined;
  #wake: () => void = () => {};
  #closed = false;

  constructor(options: MediumOptions) {
    this.#options = options;
  }

  /** The first try. @throws INSTANCE_CHANGED, and what the store refuses for good; not when it can't be reached */
  async open(): Promise<void> {
    try {
      await this.#check({ patienceMs: Math.min(FIRST_PATIENCE_MS, this.#options.patienceMs) });
      this.#confirmed = Promise.resolve();
    } catch (error) {
      if (!(error instanceof StorageError) || !error.retryable) throw error;
      this.#options.troubled(error);
      this.#confirmed = this.#keepTrying();
      this.#confirmed.catch(() => {}); // who waits for it sees it
    }
  }

  confirmed(): Promise<void> {
    return this.#confirmed ?? Promise.resolve();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async #keepTrying(): Promise<void> {
    for (let delay = FIRST_RETRY_MS; ; delay = Math.min(2 * delay, MAX_RETRY_MS)) {
      await this.#pause(delay);
      if (this.#closed) throw new StorageError('CLOSED', 'The engine is closed');
      try {
        await this.#check();
        this.#options.troubled(undefined);
        return;
      } catch (cause) {
        const error =
          cause instanceof StorageError
            ? cause
            : new StorageError('IO_ERROR', 'The store could not be asked', { retryable: true, cause });
        this.#options.troubled(error);
        if (error.code === 'INSTANCE_CHANGED' || error.code === 'CLOSED') throw error;
      }
    }
  }

  async #check(options: SteadyOptions = {}): Promise<void> {
    const { meta, store, names, random, place } = this.#options;
    const found = await meta.get(MEDIUM_KEY);
    if (found === undefined) throw new StorageError('CORRUPT', 'Meta has forgotten the medium', { where: MEDIUM_KEY });
    const row = mediumCodec.decode(found.value, found.key);
    const key = names.keyOf(MARK_OBJECT);
    const mark = await this.#mark(key, options);
    if (mark === undefined && row.marked)
      throw new StorageError(
        'INSTANCE_CHANGED',
        `The ${place.noun} has no mark of this cluster (${store.where}, ${key})`,
        {
          hint: `It is another ${place.noun}, or it was emptied: correct ${place.settings}; if the data is really gone, configure a new instance name, and give the old one up with \`topic recover --accept-loss\``,
        },
      );
    if (mark === undefined) await store.put(key, [Buffer.from(row.cluster)], random.uuid(), options);
    // the first thing that is put is read back: what answers may be no store at all
    if ((mark ?? (await this.#mark(key, options))) !== row.cluster)
      throw new StorageError(
        'STORE_MISCONFIGURED',
        `What answers gives back something else than was put (${store.where}, ${key})`,
        {
          hint: `Check ${place.settings}: it is another kind of store, or somebody else writes into this ${place.noun} under our names`,
        },
      );
    await this.#options.prepare();
    if (row.marked) return;
    await meta.commit({
      id: random.uuid(),
      guards: [{ key: MEDIUM_KEY, revision: found.revision }],
      puts: [{ key: MEDIUM_KEY, value: mediumCodec.encode({ ...row, marked: true }) }],
    });
  }

  /** What the mark says; read, since the answer to a HEAD can't tell a missing object from a missing bucket of S3. */
  async #mark(key: string, options: SteadyOptions): Promise<string | undefined> {
    try {
      return Buffer.from((await this.#options.store.getTail(key, MARK_BYTES, options)).bytes).toString();
    } catch (error) {
      if (isStorageError(error, 'SEGMENT_LOST')) return undefined;
      throw error;
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.timer(delayMs, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
