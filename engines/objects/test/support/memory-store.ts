import type { Clock, Random } from '@robustmq/core';
import type { CallOptions, ListOptions, ObjectInfo, ObjectStore, PutOptions } from '../../src/store/port.ts';
import { StoreError } from '../../src/store/port.ts';
import { answer, type Bucket } from './bucket.ts';
import { CALM, type Fate, fateOf, type Weather } from './weather.ts';

export type RequestName = 'PUT' | 'POST' | 'LIST' | 'GET' | 'HEAD' | 'DELETE';

export interface MemoryStoreOptions {
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly random: Random;
  /** Can be changed while it runs: {@link MemoryStore.weather}. */
  readonly weather?: Weather;
  /** `racy`: looks, and puts a moment later whatever has come meanwhile; `ignored`: puts; `refused`: does not know such requests. */
  readonly conditionalCreates?: 'atomic' | 'racy' | 'ignored' | 'refused';
  readonly requestTimeoutMs?: number;
  /** Decides what happens to a request, before the weather does. */
  readonly interfere?: (request: RequestName, key: string) => Fate | undefined;
}

/**
 * One client's connection to a {@link Bucket}: several clients, also those of processes that are gone, share a bucket. Whatever it does follows from its
 * `random` and the order of calls; with a virtual clock a run repeats itself.
 */
export class MemoryStore implements ObjectStore {
  readonly where = 'memory';
  weather: Weather;
  /** Nothing arrives any more, and the caller knows; what is on its way goes on. */
  down = false;
  /** Tries, as a bill counts them. */
  readonly counts: Record<RequestName, number> = { PUT: 0, POST: 0, LIST: 0, GET: 0, HEAD: 0, DELETE: 0 };
  readonly #options: MemoryStoreOptions;
  readonly #bucket: Bucket;
  readonly #cuts = new Set<() => void>();

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
    this.#bucket = options.bucket;
    this.weather = options.weather ?? CALM;
  }

  get requests(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  /** Requests whose callers wait. */
  get waiting(): number {
    return this.#cuts.size;
  }

  async put(key: string, body: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const { uid, ifAbsent } = options;
    const bytes = Buffer.concat(body);
    const { conditionalCreates = 'atomic' } = this.#options;
    await this.request('PUT', key, options, async () => {
      if (ifAbsent !== true || conditionalCreates === 'ignored') this.#bucket.put(key, bytes, uid);
      else if (conditionalCreates === 'refused') throw answer('refused', 'NotImplemented', 501);
      else if (conditionalCreates === 'atomic') this.#bucket.create(key, bytes, uid);
      else {
        this.#bucket.checkAbsent(key);
        await this.#way();
        this.#bucket.put(key, bytes, uid);
      }
    });
    if (!bytes.equals(Buffer.concat(body))) throw new Error(`${key}: the body was changed before the put had settled`);
  }

  getRange(key: string, at: number, bytes: number, options: CallOptions = {}): Promise<Uint8Array> {
    return this.request('GET', key, options, () => this.#bucket.getRange(key, at, bytes));
  }

  getTail(
    key: string,
    bytes: number,
    options: CallOptions = {},
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    return this.request('GET', key, options, () => this.#bucket.getTail(key, bytes));
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    return this.request('HEAD', key, options, () => {
      const object = this.#bucket.objects.get(key);
      return object === undefined ? undefined : { bytes: object.bytes.length, uid: object.uid };
    });
  }

  list(options: ListOptions): ReturnType<ObjectStore['list']> {
    return this.request('LIST', options.prefix, options, () => this.#bucket.list(options));
  }

  delete(key: string, options: CallOptions = {}): Promise<void> {
    return this.request('DELETE', key, options, () => this.#bucket.delete(key));
  }

  beginUpload(key: string, options: PutOptions): Promise<string> {
    return this.request('POST', key, options, () => this.#bucket.beginUpload(key, options.uid));
  }

  putPart(
    key: string,
    upload: string,
    part: number,
    body: readonly Uint8Array[],
    options: CallOptions = {},
  ): Promise<string> {
    const bytes = Buffer.concat(body);
    return this.request('PUT', key, options, () => this.#bucket.putPart(key, upload, part, bytes));
  }

  completeUpload(key: string, upload: string, parts: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.request('POST', key, options, () => this.#bucket.completeUpload(key, upload, parts));
  }

  abortUpload(key: string, upload: string, options: CallOptions = {}): Promise<void> {
    return this.request('DELETE', key, options, () => this.#bucket.abortUpload(key, upload));
  }

  /** Who waits is told; what was sent may still arrive. */
  close(): void {
    for (const cut of [...this.#cuts]) cut();
  }

  protected request<T>(
    name: RequestName,
    key: string,
    { signal }: CallOptions,
    apply: () => T | Promise<T>,
  ): Promise<T> {
    const { random, interfere, clock, requestTimeoutMs = 20_000 } = this.#options;
    const what = `${name} ${key}`;
    if (signal?.aborted === true)
      return Promise.reject(new StoreError('aborted', `${what}: given up before it was sent`, { mayBeApplied: false }));
    this.counts[name]++;
    if (this.down)
      return Promise.reject(new StoreError('unreachable', `${what}: connection refused`, { mayBeApplied: false }));
    const fate = interfere?.(name, key) ?? fateOf(this.weather, random, name === 'GET');
    return new Promise<T>((resolve, reject) => {
      const give = (end: () => void): void => {
        if (!this.#cuts.delete(cut)) return;
        signal?.removeEventListener('abort', giveUp);
        timer.cancel();
        end();
      };
      const fail = (trouble: 'unreachable' | 'timeout' | 'aborted', why: string): void =>
        give(() => reject(new StoreError(trouble, `${what}: ${why}`, { mayBeApplied: true })));
      const cut = (): void => fail('unreachable', 'the connection was cut');
      const giveUp = (): void => fail('aborted', 'given up');
      const timer = clock.timer(requestTimeoutMs, () => fail('timeout', `no answer within ${requestTimeoutMs} ms`));
      this.#cuts.add(cut);
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#carryOut(fate, apply).then(
        (value) => {
          if (fate.kind === 'served') give(() => resolve(value));
          else if (fate.kind !== 'late' && !(fate.kind !== 'answered' && fate.silent)) cut();
        },
        (error: unknown) => {
          // one that nobody waits for any more is told to nobody
          if (fate.kind === 'served' || fate.kind === 'answered') give(() => reject(error));
          else if (fate.kind !== 'late' && !fate.silent) cut();
        },
      );
    });
  }

  async #carryOut<T>(fate: Fate, apply: () => T | Promise<T>): Promise<T> {
    if (fate.kind === 'late') await this.#pause((this.#options.requestTimeoutMs ?? 20_000) + fate.byMs);
    await this.#way();
    if (fate.kind === 'lost') throw new Error('lost');
    if (this.#bucket.trouble !== undefined) throw answer(this.#bucket.trouble, undefined, 400);
    if (fate.kind === 'answered') {
      if (fate.applied) await (async () => await apply())().catch(() => {}); // it fails anyway
      await this.#way();
      const mayBeApplied = fate.trouble === 'server' || fate.applied;
      throw new StoreError(fate.trouble, `the store answers ${fate.trouble}`, { mayBeApplied });
    }
    const value = await apply();
    await this.#way();
    return value;
  }

  /** One way of a request, there or back. */
  async #way(): Promise<void> {
    const { random } = this.#options;
    const { delayMs, turns } = this.weather;
    const part = random.next();
    if (delayMs > 0) await this.#pause(part * delayMs);
    for (let turn = Math.floor(random.next() * (turns + 1)); turn > 0; turn--) await Promise.resolve();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.timer(ms, resolve));
  }
}
