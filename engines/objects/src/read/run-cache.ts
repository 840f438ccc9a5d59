import type { Run } from './run.ts';

/** Runs by the pieces they hold, the least used ones dropped once all have more than `limit` bytes. What was handed out stays as it is. */
export class RunCache {
  readonly #pieceBytes: number;
  readonly #limit: number;
  readonly #objects = new Map<string, Map<number, Run>>();
  /** In the order of their last use. */
  readonly #used = new Set<Run>();
  #bytes = 0;

  constructor(pieceBytes: number, limit: number) {
    this.#pieceBytes = pieceBytes;
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The run that holds the whole piece. */
  get(key: string, piece: number): Run | undefined {
    const run = this.#objects.get(key)?.get(piece);
    if (run === undefined) return undefined;
    this.#used.delete(run);
    this.#used.add(run);
    return run;
  }

  /** A run begins and ends where pieces do, or at the end of the object. */
  add(run: Run): void {
    if (run.bytes === 0 || run.bytes > this.#limit) return;
    const pieces = this.#objects.get(run.key) ?? new Map<number, Run>();
    this.#objects.set(run.key, pieces);
    for (const piece of this.#piecesOf(run)) {
      const before = pieces.get(piece);
      if (before !== undefined) this.#remove(before);
      // what was there before may have been the object's last run
      this.#objects.set(run.key, pieces);
      pieces.set(piece, run);
    }
    this.#used.add(run);
    this.#bytes += run.bytes;
    for (const oldest of this.#used) {
      if (this.#bytes <= this.#limit) break;
      this.#remove(oldest);
    }
  }

  drop(key: string): void {
    for (const run of new Set(this.#objects.get(key)?.values())) this.#remove(run);
  }

  clear(): void {
    this.#objects.clear();
    this.#used.clear();
    this.#bytes = 0;
  }

  #remove(run: Run): void {
    if (!this.#used.delete(run)) return;
    this.#bytes -= run.bytes;
    const pieces = this.#objects.get(run.key);
    for (const piece of this.#piecesOf(run)) if (pieces?.get(piece) === run) pieces.delete(piece);
    if (pieces?.size === 0) this.#objects.delete(run.key);
  }

  *#piecesOf(run: Run): Generator<number> {
    for (let at = run.from; at < run.to; at += this.#pieceBytes) yield Math.floor(at / this.#pieceBytes);
  }
}
