import type { Clock, MemoryShare } from '@robustmq/core';

/** What of a packet may be kept without asking. */
const FREE_BYTES = 65_536;
/** A large packet must arrive within this, */
const GRACE_MS = 10_000;
/** and as long as it takes at this rate. */
const BYTES_PER_MS = 64;

/**
 * The room of a large packet that arrives piece by piece, in the node's account of memory: all of it at once, so that half-arrived packets
 * can't wait for each other, and with a deadline, so that nobody holds it for nothing.
 */
export class PacketRoom {
  readonly #memory: MemoryShare;
  readonly #clock: Clock;
  #held = 0;
  #closed = false;
  dueAt: number = Number.POSITIVE_INFINITY;

  constructor(memory: MemoryShare, clock: Clock) {
    this.#memory = memory;
    this.#clock = clock;
  }

  /** A packet of `bytes` has begun to arrive. Gives a promise when there is no room yet: read no further until it has resolved. */
  enter(bytes: number): Promise<void> | undefined {
    if (bytes <= FREE_BYTES || this.#held > 0 || this.#take(bytes)) return undefined;
    return this.#wait(bytes);
  }

  /** The packet is whole: what becomes of it has its own account. */
  leave(): void {
    if (this.#held > 0) this.#memory.give(this.#held);
    this.#held = 0;
    this.dueAt = Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#closed = true;
    this.leave();
  }

  async #wait(bytes: number): Promise<void> {
    do await this.#memory.room(bytes);
    while (!this.#closed && !this.#take(bytes));
  }

  #take(bytes: number): boolean {
    if (!this.#memory.tryTake(bytes)) return false;
    this.#held = bytes;
    this.dueAt = this.#clock.monotonic() + GRACE_MS + bytes / BYTES_PER_MS;
    return true;
  }
}
