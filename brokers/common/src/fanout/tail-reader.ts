import { type Clock, isStorageError, type Logger, type Shard, type StoredRecord } from '@robustmq/core';
import { recordsIn } from './records-in.ts';

/** Where to begin: at what is committed now, or at a known offset. */
export type TailStart = 'end' | number;

export interface TailReaderOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of one read: what the tail holds in memory at once, beside what decompression makes of it. */
  readonly readBytes: number;
  /** A batch that decompresses to more is passed over, with a log line. */
  readonly maxDecompressedBytes: number;
  /** In offset order; must not wait for anybody. `from` is where the reader stood, `next` where it stands afterwards. */
  readonly records: (tail: TailReader, records: readonly StoredRecord[], next: number) => void;
}

const MAX_WAIT_MS = 60_000;
const RETRY_MS = 100;

/** Reads one shard from its committed end on, for all live subscribers of this node. Waits by long poll: nothing runs while idle. */
export class TailReader {
  readonly shard: Shard;
  readonly #options: TailReaderOptions;
  readonly #stop = new AbortController();
  readonly #started: Promise<void>;
  #position = 0;
  #failing = false;
  #waiting: { readonly until: number; readonly resolve: () => void }[] = [];

  constructor(shard: Shard, start: TailStart, options: TailReaderOptions) {
    this.shard = shard;
    this.#options = options;
    let started: () => void = () => {};
    this.#started = new Promise((resolve) => {
      started = resolve;
    });
    void this.#run(start, started);
  }

  /** Everything below this has been handed out. */
  get position(): number {
    return this.#position;
  }

  /** Nobody reads this shard by this reader any more. */
  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Resolves when everything that is committed now has been handed out; at once while the shard can't be read. */
  async caughtUp(): Promise<void> {
    await this.#started;
    if (this.#failing || this.#stop.signal.aborted) return;
    let committed: number;
    try {
      committed = (await this.shard.offsets()).committed;
    } catch {
      return; // the reader itself will meet the same error, and say so
    }
    if (this.#position >= committed || this.#failing || this.#stop.signal.aborted) return;
    await new Promise<void>((resolve) => this.#waiting.push({ until: committed, resolve }));
  }

  stop(): void {
    this.#stop.abort();
    this.#wake(true);
  }

  async #run(start: TailStart, started: () => void): Promise<void> {
    const { signal } = this.#stop;
    let from: number | undefined = start === 'end' ? undefined : start;
    while (!signal.aborted) {
      try {
        from ??= (await this.shard.offsets()).committed;
        if (this.#position < from) this.#position = from;
        started();
        const { readBytes, maxDecompressedBytes, logger } = this.#options;
        const read = await this.shard.read(this.#position, {
          maxBytes: readBytes,
          maxWaitMs: MAX_WAIT_MS,
          isolation: 'stable',
          signal,
        });
        if (signal.aborted) break;
        const records = recordsIn(read.chunks, this.#position, maxDecompressedBytes, logger);
        this.#failing = false;
        this.#position = read.next;
        if (records.length > 0) this.#options.records(this, records, read.next);
        this.#wake(false);
      } catch (error) {
        if (signal.aborted) break;
        if (isStorageError(error, 'OFFSET_TRIMMED') && error.offsets !== undefined)
          this.#position = error.offsets.start;
        else await this.#pause(error);
        started();
      }
    }
    started();
  }

  async #pause(error: unknown): Promise<void> {
    if (!this.#failing)
      this.#options.logger.warn(
        { topic: this.shard.topic.name, shard: this.shard.index, err: error },
        'subscribers get nothing from this shard until it can be read again',
      );
    this.#failing = true;
    this.#wake(true);
    await new Promise<void>((resolve) => this.#options.clock.timer(RETRY_MS, resolve));
  }

  #wake(all: boolean): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter(({ until }) => all || until <= this.#position);
    this.#waiting = this.#waiting.filter(({ until }) => !all && until > this.#position);
    for (const { resolve } of due) resolve();
  }
}
