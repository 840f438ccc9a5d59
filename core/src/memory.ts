/**
 * One account of memory for the node, with shares: bytes that are held for a while by many small owners. Whoever takes input
 * from outside takes the bytes here first, and stops reading its socket while the share is used up.
 */
export class MemoryShare {
  readonly name: string;
  readonly limit: number;
  #used = 0;
  #peak = 0;
  #waiting: (() => void)[] = [];

  constructor(name: string, limit: number) {
    this.name = name;
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  get peak(): number {
    return this.#peak;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes the bytes if the share has room, or if nothing else is held (so that one large request can always pass). */
  tryTake(bytes: number): boolean {
    if (this.#used > 0 && this.#used + bytes > this.limit) return false;
    this.#used += bytes;
    if (this.#used > this.#peak) this.#peak = this.#used;
    return true;
  }

  /** Resolves when there is room for `bytes`, or when some have been given back since; ask {@link tryTake} again then. */
  room(bytes = 1): Promise<void> {
    if (this.#used === 0 || this.#used + bytes <= this.limit) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(bytes: number): void {
    if (bytes > this.#used) throw new Error(`memory share ${this.name}: ${bytes} bytes given back, ${this.#used} held`);
    this.#used -= bytes;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
