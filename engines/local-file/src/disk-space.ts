import type { Clock, FileSystem, Timer } from '@robustmq/core';

export interface DiskSpaceOptions {
  readonly fs: FileSystem;
  readonly dir: string;
  readonly clock: Clock;
  readonly reserveBytes: number;
  onFull(detail: string): void;
  /** There is room again after there was none. */
  onRoom(): void;
}

const CHECK_MS = 1000;
/** With less than this the disk is asked more often: what was written may have been counted twice. */
const LOW_BYTES = 2 ** 31;
const LOW_CHECK_MS = 20;
const RETRY_MS = 500;
/** So that one that is just full does not come and go. */
const HEAL_BYTES = 1024 * 1024;

/** Knows whether the disk has room for what an append needs, before the append is taken. Looks only while somebody writes. */
export class DiskSpace {
  readonly #options: DiskSpaceOptions;
  /** What may be taken before the disk must be asked again. */
  #room = 0;
  #checkedAt = 0;
  #checking: Promise<void> | undefined;
  #timer: Timer | undefined;
  #full = false;
  #closed = false;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
  }

  get full(): boolean {
    return this.#full;
  }

  /** Takes room for an append: once for the log, once for the segment's file. */
  admit(bytes: number): boolean {
    if (this.#full) return false;
    const needed = 2 * bytes + 8192;
    if (needed > this.#room) {
      this.#becomeFull('the reserve is all that is left');
      void this.check();
      return false;
    }
    this.#room -= needed;
    return true;
  }

  /** To be called now and then while there is writing. */
  tick(): void {
    const wait = this.#room < LOW_BYTES ? LOW_CHECK_MS : CHECK_MS;
    if (this.#checking !== undefined || this.#options.clock.monotonic() - this.#checkedAt < wait) return;
    void this.check();
  }

  /** A write found no room, whatever the figures say. */
  reportFull(detail: string): void {
    this.#room = 0;
    this.#becomeFull(detail);
  }

  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  async #check(): Promise<void> {
    const { fs, dir, reserveBytes, clock } = this.#options;
    let free: number;
    try {
      free = await fs.freeBytes(dir);
    } catch {
      // a file system that cannot say: its errors will
      free = Number.MAX_SAFE_INTEGER;
    }
    this.#checkedAt = clock.monotonic();
    this.#room = Math.max(0, free - reserveBytes);
    if (!this.#full && this.#room === 0)
      this.#becomeFull(`${free} bytes are free, ${reserveBytes} are kept in reserve`);
    if (!this.#full || this.#room < HEAL_BYTES) return;
    this.#full = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#options.onRoom();
  }

  #becomeFull(detail: string): void {
    if (this.#closed) return;
    if (!this.#full) {
      this.#full = true;
      this.#options.onFull(detail);
    }
    this.#timer ??= this.#options.clock.timer(RETRY_MS, () => this.#retry());
  }

  #retry(): void {
    this.#timer = undefined;
    void this.check().then(() => {
      if (this.#full && !this.#closed) this.#timer ??= this.#options.clock.timer(RETRY_MS, () => this.#retry());
    });
  }
}
