import { StorageError } from '../errors.ts';
import type { MetaEvent } from './port.ts';

interface Commit {
  readonly revision: number;
  readonly events: readonly MetaEvent[];
}

/** Keeps the newest commits of a Meta implementation in memory and hands them to watchers, each at its own pace. */
export class WatchHub {
  readonly #kept: number;
  readonly #commits: Commit[] = [];
  /** Commits after this revision are in `#commits`. */
  #from: number;
  readonly #sleeping = new Set<() => void>();
  #closed = false;

  constructor(revision: number, kept = 10_000) {
    this.#from = revision;
    this.#kept = kept;
  }

  publish(revision: number, events: readonly MetaEvent[]): void {
    this.#commits.push({ revision, events });
    if (this.#commits.length > this.#kept * 2) {
      const gone = this.#commits.splice(0, this.#commits.length - this.#kept);
      this.#from = gone.at(-1)?.revision ?? this.#from;
    }
    this.#wakeAll();
  }

  close(): void {
    this.#closed = true;
    this.#wakeAll();
  }

  async *watch(options: { prefix: string; from: number; signal: AbortSignal }): AsyncGenerator<readonly MetaEvent[]> {
    let position = options.from;
    while (!options.signal.aborted && !this.#closed) {
      if (position < this.#from)
        throw new StorageError('META_COMPACTED', `changes after revision ${position} are no longer kept`, {
          hint: 'List again and watch from the revision of that list',
        });
      const next = this.#after(position);
      if (next === undefined) {
        await this.#sleep(options.signal);
        continue;
      }
      position = next.revision;
      const events = next.events.filter((event) => event.key.startsWith(options.prefix));
      if (events.length > 0) yield events;
    }
  }

  #after(revision: number): Commit | undefined {
    let low = 0;
    let high = this.#commits.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#commits[middle]?.revision ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return this.#commits[low];
  }

  #sleep(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleeping.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#sleeping.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  #wakeAll(): void {
    for (const wake of [...this.#sleeping]) wake();
  }
}
