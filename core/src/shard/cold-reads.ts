import { StorageError } from '../errors.ts';
import type { Clock, Counter } from '../world.ts';

export interface ColdReadsOptions {
  readonly clock: Clock;
  /** Share of the time since it was called last in which the event loop had work, 0 to 1. */
  readonly busy: () => number;
  /** Grows with each append. */
  readonly appends: Counter;
  /** Seconds that reads were held. */
  readonly held: Counter;
}

/** How often it is seen whether there is room, and who may go. */
const LOOK_EVERY_MS = 100;
/** The weight of the newest look: a garbage collection is no load. */
const NEWEST = 0.4;
/** With the loop busier than this, work waits for work: cold reads get less. */
const FULL = 0.7;
/** Less busy than this: they get more. */
const ROOM = 0.6;
const LESS = 0.8;
const MORE = 1.15;
/** Cold reads always get so much, bytes per second. */
const LEAST = 4 * 1024 * 1024;
/** Beyond this nothing is held. */
const MOST = 1024 * 1024 * 1024;
/** So long after the last append or read of what is near, the node has nothing better to do. */
const HOT_FOR_MS = 1000;
/** No read is held for longer. */
const LONGEST_MS = 5000;

interface Held {
  readonly since: number;
  readonly bytes: number;
  readonly go: () => void;
}

/**
 * Reads of segments that lie elsewhere than their topic's new data give way to everything else: while the event loop is full and there are appends, or reads of what is near,
 * they get less bytes per second, down to 4 MiB, and more again as soon as there is room. A node that does nothing else holds none.
 */
export class ColdReads {
  readonly #options: ColdReadsOptions;
  /** Bytes per second; `Infinity`: none is held. */
  #rate = Number.POSITIVE_INFINITY;
  /** Bytes that may be read now; below zero: what was let through is not yet paid for. */
  #credit = 0;
  /** In the order they came. */
  readonly #held: Held[] = [];
  #isWatched = false;
  #lookedAt: number;
  #share = 0;
  #hotAt = Number.NEGATIVE_INFINITY;
  #hotWork = 0;
  #hotReads = 0;
  #bytes = 0;
  #isOver = false;

  constructor(options: ColdReadsOptions) {
    this.#options = options;
    this.#lookedAt = options.clock.monotonic();
  }

  /** Bytes per second that are let through now. */
  get rate(): number {
    return this.#rate;
  }

  /** A read of what is near. */
  hotRead(): void {
    this.#hotReads++;
  }

  /** Runs `read`, of so many bytes at most, when it is its turn. @throws ABORTED when `signal` fires before */
  async run<T extends { readonly bytes: Uint8Array }>(
    most: number,
    signal: AbortSignal | undefined,
    read: () => Promise<T>,
  ): Promise<T> {
    this.#look();
    const expected = Math.min(most, LEAST);
    if (!this.#isFree) await this.#turn(expected, signal);
    this.#credit -= expected;
    let bytes = 0;
    try {
      const got = await read();
      bytes = got.bytes.length;
      return got;
    } finally {
      this.#bytes += bytes;
      this.#credit += expected - bytes;
      this.#letGo();
    }
  }

  /** Holds nothing any more: the node is about to stop. */
  end(): void {
    this.#isOver = true;
    this.#letGo();
  }

  get #isFree(): boolean {
    return this.#holdsNone || (this.#held.length === 0 && this.#credit > 0);
  }

  get #holdsNone(): boolean {
    return this.#isOver || this.#rate === Number.POSITIVE_INFINITY;
  }

  async #turn(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const since = this.#options.clock.monotonic();
    try {
      await new Promise<void>((resolve, reject) => {
        const giveUp = (): void => {
          this.#held.splice(this.#held.indexOf(held), 1);
          reject(new StorageError('ABORTED', 'the read was given up'));
        };
        const go = (): void => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        };
        const held: Held = { since, bytes, go };
        this.#held.push(held);
        if (signal?.aborted === true) giveUp();
        else signal?.addEventListener('abort', giveUp, { once: true });
        this.#watch();
      });
    } finally {
      this.#options.held.value += (this.#options.clock.monotonic() - since) / 1000;
    }
  }

  #watch(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.#options.clock.timer(LOOK_EVERY_MS, () => {
      this.#isWatched = false;
      this.#look();
      this.#letGo();
      if (this.#held.length > 0) this.#watch();
    });
  }

  #letGo(): void {
    const now = this.#options.clock.monotonic();
    // each takes its bytes when it goes on, which is only after this
    let left = this.#credit;
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (!this.#holdsNone && left <= 0 && now - first.since < LONGEST_MS) return;
      this.#held.shift();
      left -= first.bytes;
      first.go();
    }
  }

  /** Sees how busy the loop was since the last look, and gives what may be read until the next. */
  #look(): void {
    const { clock, busy, appends } = this.#options;
    const now = clock.monotonic();
    const elapsed = now - this.#lookedAt;
    if (elapsed < LOOK_EVERY_MS) return;
    this.#share += (busy() - this.#share) * NEWEST;
    const had = (this.#bytes * 1000) / elapsed;
    const hotWork = appends.value + this.#hotReads;
    if (hotWork !== this.#hotWork) this.#hotAt = now;
    this.#hotWork = hotWork;
    this.#bytes = 0;
    this.#lookedAt = now;
    this.#rate = this.#next(had, now - this.#hotAt <= HOT_FOR_MS);
    if (this.#rate === Number.POSITIVE_INFINITY) this.#credit = 0;
    else {
      // what was not used in a look is not saved up; and those that went because they had waited for long leave no debt of more than a second
      const owed = Math.max(Math.min(this.#credit, 0), -this.#rate);
      this.#credit = owed + (this.#rate * Math.min(elapsed, LOOK_EVERY_MS * 2)) / 1000;
    }
  }

  #next(had: number, isHot: boolean): number {
    if (!isHot) return Number.POSITIVE_INFINITY;
    if (this.#share > FULL) {
      const now = this.#rate === Number.POSITIVE_INFINITY ? had : this.#rate;
      // with nothing read it is not they that fill the loop
      return now === 0 ? this.#rate : Math.max(LEAST, now * LESS);
    }
    const more = this.#share < ROOM ? this.#rate * MORE : this.#rate;
    return more > MOST ? Number.POSITIVE_INFINITY : more;
  }
}
