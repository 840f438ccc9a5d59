import type { Clock, EngineHealth, Logger, Random, SegmentUsage } from '@robustmq/core';
import { StorageError } from '@robustmq/core';
import type { S3Settings } from '../settings.ts';
import { asStorageError, isPassing } from './advice.ts';
import { Backoff } from './backoff.ts';
import type { RequestBudget, RequestKind } from './budget.ts';
import { Lanes } from './lanes.ts';
import type { Meter, requestName } from './meter.ts';
import { type ObjectInfo, type ObjectStore, StoreError } from './port.ts';
import type { SteadyOptions, SteadyStore } from './steady-store.ts';
import { putStream } from './stream.ts';

export interface SteadyParts {
  readonly store: ObjectStore;
  readonly settings: S3Settings;
  readonly budget: RequestBudget;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** May conditional creates be used? As the probe has found. */
  isConditional(): boolean;
  health(report: EngineHealth): void;
  usage(report: SegmentUsage): void;
}

export function steadyStore(parts: SteadyParts): SteadyStore {
  return new Steady(parts);
}

/** A damaged answer to a read may be the network's fault, once or twice; then it is the object's. */
const MOST_DAMAGED = 3;
/** Refusals that a person has to mend are not waited for as long as an outage. */
const REFUSAL_PATIENCE_MS = 5000;

type Request = (typeof requestName)[number];

class Steady implements SteadyStore {
  readonly where: string;
  readonly #parts: SteadyParts;
  readonly #store: ObjectStore;
  readonly #lanes: Lanes;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #troubled: string | undefined;

  constructor(parts: SteadyParts) {
    this.#parts = parts;
    this.#store = parts.store;
    this.#lanes = new Lanes(parts.settings, parts.clock);
    this.where = parts.store.where;
  }

  async put(key: string, body: readonly Uint8Array[], uid: string, options: SteadyOptions = {}): Promise<void> {
    const bytes = body.reduce((sum, { length }) => sum + length, 0);
    let mayBeOurs = false;
    await this.#again('PUT', key, { ...options, bytesOut: bytes }, async (signal) => {
      const ifAbsent = this.#parts.isConditional();
      try {
        await this.#store.put(key, body, { uid, signal, ...(ifAbsent ? { ifAbsent } : {}) });
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // what an earlier try of this very call has put is no stranger's
        if (error.trouble === 'exists' && mayBeOurs && (await this.#isOurs(key, uid, options))) return;
        if (error.mayBeApplied) mayBeOurs = true;
        throw error;
      }
    });
  }

  async getRange(key: string, at: number, bytes: number, options: SteadyOptions = {}): Promise<Uint8Array> {
    return await this.#again('GET', key, { ...options, bytesIn: bytes }, (signal) =>
      this.#store.getRange(key, at, bytes, { signal }),
    );
  }

  async getTail(
    key: string,
    bytes: number,
    options: SteadyOptions = {},
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    return await this.#again('GET', key, { ...options, bytesIn: bytes }, (signal) =>
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
      whole: (body) => this.put(key, body, uid, steady),
      begin: async () => {
        const upload = await this.#again('POST', key, steady, (signal) =>
          this.#store.beginUpload(key, { uid, signal }),
        );
        await begun(upload);
        return upload;
      },
      part: (upload, part, body) => {
        const bytesOut = body.reduce((sum, { length }) => sum + length, 0);
        return this.#again('PUT', key, { ...steady, bytesOut }, (signal) =>
          this.#store.putPart(key, upload, part, body, { signal }),
        );
      },
      complete: (upload, parts) => this.#complete(key, upload, parts, uid, steady),
      abort: (upload) => this.abortUpload(key, upload, { ...steady, patienceMs: REFUSAL_PATIENCE_MS }),
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#lanes.close();
    this.#parts.budget.close();
    await Promise.allSettled([...this.#running]);
    this.#store.close();
  }

  /** A completion whose reply was lost is not there to be completed again: then the object is. */
  async #complete(
    key: string,
    upload: string,
    parts: readonly string[],
    uid: string,
    options: SteadyOptions,
  ): Promise<void> {
    await this.#again('POST', key, options, async (signal) => {
      try {
        await this.#store.completeUpload(key, upload, parts, { signal });
      } catch (error) {
        if (!(error instanceof StoreError) || error.trouble !== 'no-upload') throw error;
        if (!(await this.#isOurs(key, uid, options))) throw error;
      }
    });
  }

  async #isOurs(key: string, uid: string, options: SteadyOptions): Promise<boolean> {
    return (await this.head(key, options))?.uid === uid;
  }

  #again<T>(
    request: Request,
    key: string,
    options: SteadyOptions & { readonly bytesOut?: number; readonly bytesIn?: number },
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
    options: SteadyOptions & { readonly bytesOut?: number; readonly bytesIn?: number },
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, random, settings } = this.#parts;
    const signal =
      options.signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, options.signal]);
    const patienceMs = options.patienceMs ?? settings.patienceMs;
    const backoff = new Backoff(clock, random, patienceMs);
    let damaged = 0;
    let mayBeApplied = false;
    for (;;) {
      try {
        const result = await this.#lanes.run(options.lane ?? 'hot', () => this.#once(request, options, signal, run));
        this.#isWell();
        return result;
      } catch (error) {
        if (this.#closing.signal.aborted) throw closed(mayBeApplied, error);
        if (!(error instanceof StoreError)) throw error;
        if (error.mayBeApplied) mayBeApplied = true;
        const { trouble } = error;
        if (trouble === 'truncated') damaged++;
        const isOver =
          !isPassing(trouble) ||
          damaged >= MOST_DAMAGED ||
          (isRefusal(trouble) && backoff.elapsedMs >= Math.min(patienceMs, REFUSAL_PATIENCE_MS));
        if (!isOver && (await backoff.wait(signal))) continue;
        const failure = asStorageError(
          mayBeApplied && !error.mayBeApplied
            ? new StoreError(trouble, error.message, {
                mayBeApplied,
                code: error.code,
                status: error.status,
                cause: error,
              })
            : error,
          `${this.where}, ${key}`,
        );
        if (this.#closing.signal.aborted) throw closed(mayBeApplied, error);
        this.#isTroubled(failure);
        throw failure;
      }
    }
  }

  async #once<T>(
    request: Request,
    options: SteadyOptions & { readonly bytesOut?: number; readonly bytesIn?: number },
    signal: AbortSignal,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { budget, meter, clock } = this.#parts;
    const kind = kindOf(request);
    if (kind !== undefined) await budget.take(kind, options.lane ?? 'hot', signal);
    const began = clock.monotonic();
    let result = 'ok';
    try {
      return await run(signal);
    } catch (error) {
      result = error instanceof StoreError ? error.trouble : 'error';
      throw error;
    } finally {
      meter.count(request, result, (clock.monotonic() - began) / 1000, options);
    }
  }

  #isWell(): void {
    if (this.#troubled === undefined) return;
    this.#troubled = undefined;
    this.#parts.health({ status: 'ok', detail: '' });
  }

  #isTroubled(error: StorageError): void {
    const { code, message, hint } = error;
    // what is wrong with one object is told to whoever reads it
    if (
      code !== 'STORE_UNAVAILABLE' &&
      code !== 'STORE_DENIED' &&
      code !== 'STORE_MISCONFIGURED' &&
      code !== 'DISK_FULL'
    )
      return;
    this.#troubled = code;
    const detail = `${code}: ${message}${hint === undefined ? '' : `. ${hint}`}`;
    this.#parts.health({ status: code === 'DISK_FULL' ? 'full' : 'failed', detail });
  }
}

function kindOf(request: Request): RequestKind | undefined {
  if (request === 'DELETE') return undefined;
  return request === 'GET' || request === 'HEAD' ? 'get' : 'put';
}

function isRefusal(trouble: StoreError['trouble']): boolean {
  return trouble === 'denied' || trouble === 'credentials' || trouble === 'expired' || trouble === 'clock-skew';
}

function closed(mayBeApplied: boolean, cause: unknown): StorageError {
  return new StorageError('CLOSED', 'The engine is closed', { outcome: mayBeApplied ? 'unknown' : 'none', cause });
}
