import type { StorageError } from '@robustmq/core';
import type { Ring } from './ring.ts';

/** Those who wait for room in the ring, first come, first served. */
export class ReadyQueue {
  readonly #ring: Ring;
  #waiting: { readonly bytes: number; readonly resolve: () => void; readonly reject: (error: StorageError) => void }[] =
    [];

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  wait(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ bytes, resolve, reject }));
  }

  /** Wakes as many as the room is enough for: each takes its part in its own turn, and asks again if it comes late. */
  wake(): void {
    if (this.#waiting.length === 0) return;
    let room = this.#ring.free;
    let count = 0;
    for (const one of this.#waiting) {
      if (one.bytes > room) break;
      room -= one.bytes;
      count++;
    }
    if (count === 0) return;
    for (const one of this.#waiting.splice(0, count)) one.resolve();
  }

  fail(error: StorageError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.reject(error);
  }
}
