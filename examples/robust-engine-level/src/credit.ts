import type { StorageError } from '@robustmq/core';

interface Waiter {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: StorageError) => void;
}

/** Bytes on their way to the disk, of all segments together. Whoever does not fit waits; nothing queues without a bound. */
export class Credit {
  readonly #limit: number;
  #taken = 0;
  #waiting: Waiter[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  wait(bytes: number): Promise<void> | undefined {
    if (this.#taken + bytes <= this.#limit) return undefined;
    return new Promise((resolve, reject) => this.#waiting.push({ bytes, resolve, reject }));
  }

  take(bytes: number): void {
    this.#taken += bytes;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
    let room = this.#limit - this.#taken;
    for (let first = this.#waiting[0]; first !== undefined && first.bytes <= room; first = this.#waiting[0]) {
      this.#waiting.shift();
      room -= first.bytes;
      first.resolve();
    }
  }

  end(error: StorageError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
