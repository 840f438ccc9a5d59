import type { Clock, EngineHealth, Random } from '@robustmq/core';
import { isStorageError, StorageError } from '@robustmq/core';
import type { Hints } from '../backend.ts';
import type { ObjectSettings } from '../settings.ts';
import { asStorageError, isPassing } from './advice.ts';
import { Backoff, REFUSAL_PATIENCE_MS } from './backoff.ts';
import type { RequestBudget, RequestKind } from './budget.ts';
import { Lanes } from './lanes.ts';
import type { Meter, requestName } from './meter.ts';
import {
  type FileStore,
  isFileStore,
  type ObjectInfo,
  type ObjectStore,
  StoreError,
  type StoreTrouble,
} from './port.ts';
import type { SteadyOptions, SteadyStore } from './steady-store.ts';
import { type Access, StoreHealth } from './store-health.ts';
import { putStream } from './stream.ts';

export interface SteadyParts {
  readonly store: ObjectStore;
  readonly settings: ObjectSettings;
  readonly hints: Hints;
  readonly budget: RequestBudget;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly random: Random;
  /** May conditional creates be used? As the probe has found. */
  isConditional(): boolean;
  /** A name that nothing of meaning has, for a request that only shows whether the store serves it. */
  checkKey(): string;
  health(report: EngineHealth): void;
}

export function steadyStore(parts: SteadyParts): SteadyStore {
  return new Steady(parts);
}

/** A damaged answer to a read may be the network's fault, once or twice; then it is the object's. */
const MOST_DAMAGED = 3;

type Request = (typeof requestName)[number];

interface RequestOptions<T> extends SteadyOptions {
  /** Asked when the request has ended. */
  readonly bytesOut?: () => number;
  readonly bytesIn?: (result: T) => number;
}

class Steady implements SteadyStore {
  readonly where: string;
  readonly #parts: SteadyParts;
  readonly #store: ObjectStore;
  readonly #lanes: Lanes;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly #health: StoreHealth;

  constructor(parts: SteadyParts) {
    this.#parts = parts;
    this.#store = parts.store;
    this.#lanes = new Lanes(parts.settings, parts.clock);
    this.#health = new StoreHealth({
      clock: parts.clock,
      report: (health) => parts.health(health),
      check: (access) => this.#check(access),
    });
    this.where = parts.store.where;
  }

  async put(key: string, body: readonly Uint8Array[], uid: string, options: SteadyOptions = {}): Promise<void> {
    const bytes = body.reduce((sum, { length }) => sum + length, 0);
    let mayArrive = false;
    try {
      await this.#again('PUT', key, { ...options, bytesOut: () => bytes }, async (signal) => {
        const ifAbsent = this.#parts.isConditional();
        try {
          await this.#store.put(key, body, { uid, signal, ...(ifAbsent ? { ifAbsent } : {}) });
        } catch (error) {
          if (error instanceof StoreError && error.mayBeApplied && !mayArrive) {
            mayArrive = true;
            options.strayed?.();
          }
          throw error;
        }
      });
    } catch (error) {
      // of an earlier try, of this call or of something in between
      if (troubleOf(error) === 'exists' && (await this.#isOurs(key, uid, options))) return;
      throw error;
    }
  }

  async getRange(key: string, at: number, bytes: number, options: SteadyOptions = {}): Promise<Uint8Array> {
    return await this.#again('GET', key, { ...options, bytesIn: ({ length }) => length }, (signal) =>
      this.#store.getRange(key, at, bytes, { signal }),
    );
  }

  async getTail(
    key: string,
    bytes: number,
    options: SteadyOptions = {},
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    return await this.#again('GET', key, { ...options, bytesIn: ({ bytes: tail }) => tail.length }, (signal) =>
      this.#store.getTail(key, bytes, { signal }),
    );
  }

  async head(key: string, options: SteadyOptions = {}): Promise<ObjectInfo | undefined> {
    return await this.#again('HEAD', key, options, (signal) => this.#store.head(key, { signal }));
  }

  async list(options: Parameters<SteadyStore['list']>[0]): ReturnType<SteadyStore['list']> {
    const { prefix, after, limit, delimiter } = options;
    return await this.#again('LIST', prefix, options, (signal) =>
      this.#store.list({
        prefix,
        limit,
        signal,
        ...(after === undefined ? {} : { after }),
        ...(delimiter === undefined ? {} : { delimiter }),
      }),
    );
  }

  async delete(key: string, options: SteadyOptions = {}): Promise<void> {
    await this.#again('DELETE', key, options, (signal) => this.#store.delete(key, { signal }));
  }

  async abortUpload(key: string, upload: string, options: SteadyOptions = {}): Promise<void> {
    await this.#again('DELETE', key, options, (signal) => this.#store.abortUpload(key, upload, { signal }));
  }

  async append(
    key: string,
    at: number,
    body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
    options: SteadyOptions = {},
  ): Promise<void> {
    const files = this.#files();
    let sent = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        sent += chunk.length;
        yield chunk;
      }
    };
    await this.#again('PUT', key, { ...options, patienceMs: 0, bytesOut: () => sent }, (signal) =>
      files.append(key, at, counted(), { signal }),
    );
  }

  async deleteFolder(folder: string, options: SteadyOptions = {}): Promise<void> {
    const files = this.#files();
    await this.#again('DELETE', folder, options, (signal) => files.deleteFolder(folder, { signal }));
  }

  async tidyUp(options: SteadyOptions = {}): Promise<boolean> {
    const files = this.#files();
    if (files.left === 0) return false;
    await this.#again('DELETE', 'the work folder', options, (signal) => files.tidyUp({ signal }));
    return true;
  }

  async putStream(
    key: string,
    chunks: AsyncIterable<Uint8Array>,
    uid: string,
    options: Parameters<SteadyStore['putStream']>[3],
  ): Promise<number> {
    const { partBytes, begun = async () => {}, ...steady } = options;
    return await putStream(chunks, {
      partBytes,
      partsAtOnce: this.#parts.settings.partsAtOnce,
      returnsParts: isFileStore(this.#store),
      whole: (body) => this.put(key, body, uid, steady),
      begin: async () => {
        const upload = await this.#again('POST', key, steady, (signal) =>
          this.#store.beginUpload(key, { uid, signal }),
        );
        try {
          await begun(upload);
        } catch (error) {
          await this.abortUpload(key, upload, { ...steady, patienceMs: 0 }).catch(() => {}); // nobody else knows it
          throw error;
        }
        return upload;
      },
      part: (upload, part, body) => {
        const bytes = body.reduce((sum, { length }) => sum + length, 0);
        return this.#again('PUT', key, { ...steady, bytesOut: () => bytes }, (signal) =>
          this.#store.putPart(key, upload, part, body, { signal }),
        );
      },
      complete: (upload, parts) => this.#complete(key, upload, parts, uid, steady),
      abort: (upload) => this.abortUpload(key, upload, { ...steady, patienceMs: REFUSAL_PATIENCE_MS }),
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#health.close();
    this.#parts.budget.close();
    await Promise.allSettled([...this.#running]);
    this.#store.close();
  }

  #files(): FileStore {
    if (isFileStore(this.#store)) return this.#store;
    throw new StorageError('NOT_SUPPORTED', 'This is no store of files', { where: this.where });
  }

  /** A completion whose reply was lost is not there to be completed again: then the object is. */
  async #complete(
    key: string,
    upload: string,
    parts: readonly string[],
    uid: string,
    options: SteadyOptions,
  ): Promise<void> {
    try {
      await this.#again('POST', key, options, (signal) => this.#store.completeUpload(key, upload, parts, { signal }));
    } catch (error) {
      if (troubleOf(error) === 'no-upload' && (await this.#isOurs(key, uid, options))) return;
      throw error;
    }
  }

  /** Whether what lies there is of this attempt. Failing to find out, it may be. */
  async #isOurs(key: string, uid: string, options: SteadyOptions): Promise<boolean> {
    try {
      return (await this.head(key, options))?.uid === uid;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      const { code, message, retryable, hint } = error;
      throw new StorageError(code, message, {
        where: `${this.where}, ${key}`,
        retryable,
        outcome: 'unknown',
        cause: error,
        ...(hint === undefined ? {} : { hint }),
      });
    }
  }

  #again<T>(
    request: Request,
    key: string,
    options: RequestOptions<T>,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const running = this.#tryAgain(request, key, options, run);
    this.#running.add(running);
    const done = (): void => void this.#running.delete(running);
    running.then(done, done);
    return running;
  }

  async #tryAgain<T>(
    request: Request,
    key: string,
    options: RequestOptions<T>,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, random, settings } = this.#parts;
    const signal =
      options.signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, options.signal]);
    const patienceMs = options.patienceMs ?? settings.patienceMs;
    const backoff = new Backoff(clock, random, patienceMs);
    const access = ACCESS[request];
    let damaged = 0;
    let mayBeApplied = false;
    for (;;) {
      let failure: StoreError;
      try {
        const result = await this.#once(request, options, signal, run);
        this.#health.isWell(access);
        return result;
      } catch (error) {
        if (!(error instanceof StoreError) && !signal.aborted) throw error;
        if (error instanceof StoreError && error.mayBeApplied && CHANGES.has(access)) mayBeApplied = true;
        if (this.#closing.signal.aborted) throw ended('CLOSED', 'The engine is closed', mayBeApplied, error);
        if (!(error instanceof StoreError)) throw ended('ABORTED', 'The request was given up', mayBeApplied, error);
        failure = error;
      }
      const { trouble } = failure;
      // the store has looked, so it is there and lets us
      if (trouble === 'not-found' || trouble === 'exists') this.#health.isWell(access);
      if (trouble === 'truncated') damaged++;
      const isOver =
        !isPassing(trouble) ||
        damaged >= MOST_DAMAGED ||
        (isRefusal(trouble) && backoff.elapsedMs >= Math.min(patienceMs, REFUSAL_PATIENCE_MS));
      if (!isOver && (await backoff.wait(signal))) continue;
      if (this.#closing.signal.aborted) throw ended('CLOSED', 'The engine is closed', mayBeApplied, failure);
      if (signal.aborted) throw ended('ABORTED', 'The request was given up', mayBeApplied, failure);
      // cut off less often than that, it may be the way here
      const isUnsure = trouble === 'truncated' && damaged < MOST_DAMAGED;
      const error = asStorageError(failure, `${this.where}, ${key}`, {
        mayBeApplied,
        isUnsure,
        hints: this.#parts.hints,
      });
      this.#health.isWrong(access, trouble, error);
      throw error;
    }
  }

  async #once<T>(
    request: Request,
    options: RequestOptions<T>,
    signal: AbortSignal,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { budget } = this.#parts;
    const { lane = 'hot' } = options;
    const kind = kindOf(request);
    // before it takes a place in the lane, where those would wait behind it who have a budget left
    if (kind !== undefined) await budget.take(kind, lane, signal);
    return await this.#lanes.run(lane, signal, () => this.#send(request, options, signal, run));
  }

  async #send<T>(
    request: Request,
    options: RequestOptions<T>,
    signal: AbortSignal,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { meter, clock } = this.#parts;
    const began = clock.monotonic();
    const seconds = (): number => (clock.monotonic() - began) / 1000;
    const { for: shares, bytesOut = () => 0, bytesIn } = options;
    try {
      const result = await run(signal);
      meter.count(
        request,
        { result: 'ok', seconds: seconds(), bytesOut: bytesOut(), bytesIn: bytesIn?.(result) ?? 0 },
        shares,
      );
      return result;
    } catch (error) {
      const result = error instanceof StoreError ? error.trouble : 'error';
      meter.count(request, { result, seconds: seconds(), bytesOut: bytesOut(), bytesIn: 0 }, shares);
      throw error;
    }
  }

  /** One request of a kind that has failed, to see whether it still does. */
  async #check(access: Access): Promise<void> {
    const options: SteadyOptions = { patienceMs: 0, lane: 'upkeep' };
    const key = this.#parts.checkKey();
    if (access === 'read') await this.head(key, options);
    else if (access === 'list') await this.list({ ...options, prefix: key, limit: 1 });
    else {
      // one that is left from an earlier check does as well
      if (access === 'write')
        await this.put(key, [Buffer.from('x')], this.#parts.random.uuid(), options).catch((error: unknown) => {
          if (!isStorageError(error, 'SEGMENT_EXISTS')) throw error;
        });
      await this.delete(key, options);
    }
  }
}

const ACCESS: Readonly<Record<Request, Access>> = {
  GET: 'read',
  HEAD: 'read',
  LIST: 'list',
  PUT: 'write',
  POST: 'write',
  DELETE: 'delete',
};
const CHANGES: ReadonlySet<Access> = new Set<Access>(['write', 'delete']);

function kindOf(request: Request): RequestKind | undefined {
  if (request === 'DELETE') return undefined;
  return request === 'GET' || request === 'HEAD' ? 'get' : 'put';
}

function isRefusal(trouble: StoreTrouble): boolean {
  return trouble === 'denied' || trouble === 'credentials' || trouble === 'expired' || trouble === 'clock-skew';
}

function troubleOf(error: unknown): StoreTrouble | undefined {
  return error instanceof StorageError && error.cause instanceof StoreError ? error.cause.trouble : undefined;
}

function ended(code: 'CLOSED' | 'ABORTED', message: string, mayBeApplied: boolean, cause: unknown): StorageError {
  return new StorageError(code, message, { outcome: mayBeApplied ? 'unknown' : 'none', cause });
}
