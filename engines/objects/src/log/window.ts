import { StorageError } from '@robustmq/core';

interface Waiting {
  readonly bytes: number;
  readonly owner: object;
  resolve(): void;
  reject(error: StorageError): void;
}

/** Bytes of appends that are not settled, over all writers of an instance: what bounds its memory. First come, first served. */
export class Window {
  readonly bytes: number;
  #used = 0;
  #waiting: Waiting[] = [];

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  get used(): number {
    return this.#used;
  }

  /** @throws BACKPRESSURE */
  take(bytes: number): void {
    if (!this.#has(bytes))
      throw new StorageError('BACKPRESSURE', `${this.#used} of ${this.bytes} bytes are on their way`);
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    for (let next = this.#waiting[0]; next !== undefined && this.#has(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.resolve();
    }
  }

  ready(bytes: number, owner: object): Promise<void> | undefined {
    if (this.#has(bytes)) return undefined;
    return new Promise((resolve, reject) => this.#waiting.push({ bytes, owner, resolve, reject }));
  }

  /** Tells those who wait for `owner`, or all, that there will be no credit. */
  refuse(error: StorageError, owner?: object): void {
    const refused = this.#waiting.filter((one) => owner === undefined || one.owner === owner);
    this.#waiting = this.#waiting.filter((one) => !refused.includes(one));
    for (const { reject } of refused) reject(error);
  }

  #has(bytes: number): boolean {
    return this.#used + bytes <= this.bytes;
  }
}
