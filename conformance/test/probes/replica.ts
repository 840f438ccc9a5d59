import type { Place } from './shelf.ts';
import type { Weather } from './weather.ts';

/** Whole batches as they were appended together. */
export interface Run {
  readonly base: number;
  readonly next: number;
  readonly maxTimestamp: number;
  readonly place: Place;
}

/** One segment as one replica holds it. Ballots order writers and recoveries: a recovery's is above that of a writer of the same epoch. */
export interface Copy {
  readonly uid: string;
  readonly base: number;
  readonly state: Uint8Array;
  readonly ingest?: { readonly attempt: string; readonly end: number; readonly bytes: number; readonly crc: number };
  /** Nothing of a lower ballot is taken any more. */
  promised: number;
  runs: Run[];
  /** An end that was proposed to it, and by which ballot. */
  accepted?: { readonly ballot: number; readonly end: number };
  /** The end, once two replicas had accepted it. */
  decided?: number;
}

export type Answer = 'ok' | 'fenced' | 'gap';

/** Whom a replica answers, and that it may be unable to. */
export interface Caller {
  alive: boolean;
}

/** One of three. What it holds survives its callers; it may be away for a while, slow, or come back with nothing. */
export class Replica {
  readonly weather: Weather;
  down = false;
  /** Its disk was replaced: what it does not hold it may have held. */
  wiped = false;
  #copies = new Map<string, Copy>();
  #buried = new Set<string>();

  constructor(weather: Weather) {
    this.weather = weather;
  }

  /** Every call goes through here. */
  async ask<T>(caller: Caller, call: (replica: this) => T): Promise<T> {
    return await this.weather.pass(() => {
      if (this.down || !caller.alive) throw new Error('there is no answer');
      return call(this);
    });
  }

  wipe(): void {
    this.#copies = new Map();
    this.#buried = new Set();
    this.wiped = true;
  }

  create(id: string, copy: Copy): { readonly exists: Copy | undefined } {
    const exists = this.#copies.get(id);
    if (exists !== undefined && exists.uid !== copy.uid) return { exists };
    if (exists === undefined) this.#copies.set(id, { ...copy, runs: [...copy.runs] });
    return { exists: undefined };
  }

  /** Runs in order; those that it has it takes again without a word, since replies get lost. */
  write(id: string, uid: string, ballot: number, runs: readonly Run[]): Answer {
    const copy = this.#copies.get(id);
    if (copy?.uid !== uid || ballot < copy.promised) return 'fenced';
    for (const run of runs) {
      if (run.next <= endOf(copy)) continue;
      if (run.base !== endOf(copy)) return 'gap';
      copy.runs.push(run);
    }
    return 'ok';
  }

  /** Promises to take nothing of a lower ballot. */
  promise(id: string, ballot: number): { readonly copy: Copy | undefined; readonly fenced: boolean } {
    const copy = this.#copies.get(id);
    if (copy !== undefined && ballot < copy.promised) return { copy, fenced: true };
    if (copy !== undefined) copy.promised = ballot;
    return { copy: this.look(id), fenced: false };
  }

  /** Takes what it lacks from a recovery that has looked at others, and the end that it proposes. */
  accept(id: string, from: Copy, ballot: number, end: number): Answer {
    const copy = this.#copies.get(id) ?? { ...from, runs: [], promised: ballot };
    if (this.#buried.has(from.uid) || copy.uid !== from.uid || ballot < copy.promised) return 'fenced';
    copy.promised = ballot;
    for (const run of from.runs) if (run.base === endOf(copy) && run.next <= end) copy.runs.push(run);
    if (endOf(copy) < end) return 'gap';
    copy.accepted = { ballot, end };
    this.#copies.set(id, copy);
    return 'ok';
  }

  decide(id: string, uid: string, end: number): void {
    const copy = this.#copies.get(id);
    if (copy?.uid !== uid) return;
    copy.decided = end;
    copy.runs = copy.runs.filter(({ next }) => next <= end);
  }

  look(id: string): Copy | undefined {
    const copy = this.#copies.get(id);
    return copy === undefined ? undefined : { ...copy, runs: [...copy.runs] };
  }

  bury(id: string, uid: string): void {
    this.#buried.add(uid);
    if (this.#copies.get(id)?.uid === uid) this.#copies.delete(id);
  }

  isBuried(uid: string): boolean {
    return this.#buried.has(uid);
  }

  ids(): string[] {
    return [...this.#copies.keys()];
  }
}

export function endOf(copy: Copy): number {
  return copy.ingest?.end ?? copy.runs.at(-1)?.next ?? copy.base;
}
