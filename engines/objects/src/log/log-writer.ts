/**
 * The node's write-ahead objects. Appends of all segments gather in one buffer; `pace.ts` says when it is put as one object; several objects are on
 * their way at once, and what each holds is committed in the order in which they were sent, one row a segment. Then the appends settle.
 *
 * A segment whose row has changed (it was recovered, sealed elsewhere, deleted) loses its own run, and nobody else's. An object that could not be put
 * fails the writers that have a run in it, whose later runs then count for nothing either.
 */
import { type Clock, isStorageError, type MetaMutation, type Random, StorageError, type Timer } from '@robustmq/core';
import type { Life } from '../meta/life.ts';
import { fencedLife } from '../meta/life.ts';
import { objectCodec, objectKey, type PointerRow, pointerCodec, pointerKey, segmentKey } from '../meta/rows.ts';
import type { SteadyMeta } from '../meta/steady-meta.ts';
import type { LogEntry, ObjectWriter } from '../segment/writer.ts';
import type { PlacedRun } from './log-object.ts';
import type { LogTarget, StoredLog } from './log-target.ts';
import { flushDelay, type PaceSettings } from './pace.ts';

export interface LogWriterOptions {
  readonly target: LogTarget;
  readonly meta: SteadyMeta;
  readonly life: Life;
  readonly clock: Clock;
  readonly random: Random;
  readonly pace: PaceSettings;
  /** How long the budget makes a PUT wait that is asked for now, ms. */
  budgetDelayMs(): number;
  /** Rows lead to the object for these segments (by uid); none: it is of no use. */
  stored(object: string, uids: readonly string[]): void;
  /** This process may not write any more. */
  fenced(error: StorageError): void;
}

interface Waiting {
  readonly entry: LogEntry;
  resolve(): void;
  reject(error: StorageError): void;
}

/** What one segment has in an object. */
interface Share {
  readonly writer: ObjectWriter;
  readonly waiting: Waiting[];
  bytes: number;
}

export class LogWriter {
  readonly #options: LogWriterOptions;
  #buffer = new Map<ObjectWriter, Share>();
  #bufferedBytes = 0;
  #bufferedSince = 0;
  #lastFlush = Number.NEGATIVE_INFINITY;
  #uploading = 0;
  #timer: Timer | undefined;
  #committing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  append(entry: LogEntry): Promise<void> {
    if (this.#closed) return Promise.reject(new StorageError('CLOSED', 'The engine is closed'));
    return new Promise((resolve, reject) => {
      if (this.#bufferedBytes === 0) this.#bufferedSince = this.#options.clock.monotonic();
      let share = this.#buffer.get(entry.writer);
      if (share === undefined) {
        share = { writer: entry.writer, waiting: [], bytes: 0 };
        this.#buffer.set(entry.writer, share);
      }
      share.waiting.push({ entry, resolve, reject });
      share.bytes += entry.bytes;
      const before = this.#bufferedBytes;
      this.#bufferedBytes += entry.bytes;
      const { flushBytes } = this.#options.pace;
      // a timer that runs is right until the buffer is full
      if (this.#timer === undefined || (before < flushBytes && this.#bufferedBytes >= flushBytes)) this.#arm();
    });
  }

  /** What waits ends with CLOSED, and what is on its way once the store and Meta have let go of it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const error = new StorageError('CLOSED', 'The engine is closed', { outcome: 'unknown' });
    const shares = [...this.#buffer.values()];
    this.#buffer.clear();
    this.#bufferedBytes = 0;
    await this.#committing;
    for (const share of shares) failShare(share, error);
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#closed) return;
    const { clock, pace } = this.#options;
    const delay = flushDelay(
      pace,
      {
        bufferedBytes: this.#bufferedBytes,
        bufferedSince: this.#bufferedSince,
        lastFlush: this.#lastFlush,
        uploading: this.#uploading,
        budgetDelayMs: this.#bufferedBytes === 0 ? 0 : this.#options.budgetDelayMs(),
      },
      clock.monotonic(),
    );
    if (delay !== undefined) this.#timer = clock.timer(delay, () => this.#flush());
  }

  #flush(): void {
    this.#timer = undefined;
    const { clock, pace } = this.#options;
    if (this.#closed || this.#bufferedBytes === 0 || this.#uploading >= pace.uploads) return;
    // somebody else may have used up what the budget had
    if (this.#options.budgetDelayMs() > 0) {
      this.#arm();
      return;
    }
    const shares = [...this.#buffer.values()];
    this.#buffer = new Map();
    this.#bufferedBytes = 0;
    this.#lastFlush = clock.monotonic();
    this.#uploading++;
    const stored = this.#upload(shares).finally(() => {
      this.#uploading--;
      this.#arm();
    });
    stored.catch(() => {}); // told when its turn to be committed comes
    this.#committing = this.#committing.then(() => this.#commit(shares, stored));
  }

  #upload(shares: readonly Share[]): Promise<StoredLog> {
    const total = shares.reduce((sum, { bytes }) => sum + bytes, 0);
    return this.#options.target.put(
      shares.map(({ writer, waiting, bytes }) => ({
        uid: writer.uid,
        batches: waiting.flatMap(({ entry }) => entry.batches),
        bytes,
        base: waiting[0]?.entry.base ?? 0,
        next: waiting.at(-1)?.entry.next ?? 0,
      })),
      { for: shares.map(({ writer, bytes }) => ({ segment: writer.id, share: bytes / total })) },
    );
  }

  /** The object is there, and every one before it has been dealt with: now rows may lead to it. */
  async #commit(shares: readonly Share[], stored: Promise<StoredLog>): Promise<void> {
    let settled = (): void => {};
    try {
      const { object, number, from, strayed, objectBytes, placed, ...place } = await stored;
      settled = () => place.settled();
      const runs = shares
        .map((share, i) => ({
          share,
          pointer: pointerOf(share, { object, objectBytes, ...(from === undefined ? {} : { from }) }, placed[i]),
        }))
        .filter(({ share }) => share.writer.failure === undefined);
      const uids = await this.#point(object, strayed, runs);
      this.#options.life.settled(number);
      this.#options.stored(object, uids);
    } catch (error) {
      const failure = isStorageError(error)
        ? error
        : new StorageError('IO_ERROR', 'An object of the log could not be put', { cause: error });
      for (const { writer } of shares) writer.fail(asUnknown(failure));
    } finally {
      settled();
    }
    for (const share of shares) settleShare(share);
  }

  /** @returns the uids of the segments that a row leads from */
  async #point(
    object: string,
    strayed: boolean,
    runs: readonly { share: Share; pointer: PointerRow }[],
  ): Promise<string[]> {
    const { meta, life, random } = this.#options;
    const row = objectCodec.encode({
      kind: 'log',
      state: 'stored',
      life: life.name,
      ...(strayed ? { strayed } : {}),
    });
    const first: MetaMutation = {
      id: random.uuid(),
      guards: [life.guard],
      puts: [{ key: objectKey(object), value: row }],
    };
    const results = await meta.commitEach([
      first,
      ...runs.map(({ share: { writer }, pointer }) => ({
        id: random.uuid(),
        guards: [{ key: segmentKey(writer.id), revision: writer.revision }, life.guard],
        puts: [{ key: pointerKey(writer.uid, pointer.base), value: pointerCodec.encode(pointer) }],
      })),
    ]);
    if (results[0]?.ok !== true) {
      const error = fencedLife(life.name);
      this.#options.fenced(error);
      throw error;
    }
    const uids: string[] = [];
    for (const [i, { share, pointer }] of runs.entries()) {
      if (results[i + 1]?.ok === true) {
        uids.push(share.writer.uid);
        share.writer.committed(pointer);
      } else {
        share.writer.fail(
          new StorageError('FENCED', 'Another owner has the segment, or it is gone', { where: share.writer.id }),
        );
      }
    }
    return uids;
  }
}

function pointerOf(
  { waiting, bytes }: Share,
  object: Pick<PointerRow, 'object' | 'objectBytes' | 'from'>,
  placed: PlacedRun | undefined,
): PointerRow {
  const entries = waiting.map(({ entry }) => entry);
  return {
    ...object,
    at: placed?.at ?? 0,
    bytes,
    base: entries[0]?.base ?? 0,
    next: entries.at(-1)?.next ?? 0,
    minTs: entries.reduce((least, { minTs }) => Math.min(least, minTs), Number.MAX_SAFE_INTEGER),
    maxTs: entries.reduce((most, { maxTs }) => Math.max(most, maxTs), -1),
    crc: placed?.crc ?? 0,
  };
}

/** In the order of the appends. A writer that has failed meanwhile has said what it knows. */
function settleShare(share: Share): void {
  const { failure } = share.writer;
  const last = share.waiting.at(-1);
  const applied = last !== undefined && share.writer.offsets().committed >= last.entry.next;
  if (failure !== undefined && !applied) failShare(share, failure);
  else for (const { resolve } of share.waiting) resolve();
}

function failShare({ waiting }: Share, error: StorageError): void {
  for (const { reject } of waiting) reject(error);
}

/** Whatever the store says of its own request: an append that was dispatched may show up as long as nobody has recovered the segment. */
function asUnknown(error: StorageError): StorageError {
  if (error.outcome === 'unknown') return error;
  return new StorageError(error.code, error.message, {
    outcome: 'unknown',
    retryable: error.retryable,
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
