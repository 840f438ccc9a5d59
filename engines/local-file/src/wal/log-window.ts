import type { LogFile } from './log-reads.ts';

/** Enough for most entries, little enough to stay in the processor's cache. */
const WINDOW_BYTES = 2 * 1024 * 1024;

/**
 * The bytes around one place of a file, in memory that is used again and again: memory that is touched for the first time costs more
 * than reading into it. Only for a piece that is larger it grows.
 */
export class LogWindow {
  #memory = Buffer.alloc(0);
  #file: LogFile | undefined;
  /** Bytes of the file that can be read. */
  #readable = 0;
  /** From {@link LogWindow.base} of the file on; they stay until the next {@link load}. */
  bytes: Buffer = this.#memory.subarray(0, 0);
  base = 0;
  size = 0;

  async use(file: LogFile): Promise<void> {
    this.#file = file;
    this.size = await file.size();
    this.#readable = this.size;
    this.#show(0, 0);
  }

  /** Makes sure of [from, to), as far as the file goes. `undefined`: it is there already. */
  load(from: number, to: number): Promise<void> | undefined {
    const end = this.base + this.bytes.length;
    const wanted = Math.min(to, this.#readable);
    return from >= this.base && wanted <= end ? undefined : this.#load(from, wanted);
  }

  async #load(from: number, to: number): Promise<void> {
    if (from >= to || this.#file === undefined) return this.#show(from, 0);
    const kept = this.bytes.subarray(Math.max(0, Math.min(from - this.base, this.bytes.length)));
    const filled = from < this.base ? 0 : kept.length;
    const memory = Math.max(to - from, Math.min(WINDOW_BYTES, this.size));
    if (memory > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(memory);
    if (filled > 0) kept.copy(this.#memory);
    const length = Math.min(this.#memory.length, this.#readable - from) - filled;
    const count = await this.#file.read(this.#memory, filled, length, from + filled);
    // what cannot be read parses as nothing
    if (count < length) this.#readable = from + filled + count;
    this.#show(from, filled + count);
  }

  #show(base: number, length: number): void {
    this.base = base;
    this.bytes = this.#memory.subarray(0, length);
  }
}
