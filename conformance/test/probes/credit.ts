import { StorageError } from '@robustmq/core';

/** The window of one writer. */
export class Credit {
  readonly #window: number;
  #used = 0;
  #waiting: { readonly bytes: number; resolve(): void; reject(error: StorageError): void }[] = [];

  constructor(window: number) {
    this.#window = window;
  }

  take(bytes: number): void {
    if (!this.#has(bytes)) throw new StorageError('BACKPRESSURE', 'The window is full');
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    while (this.#waiting[0] !== undefined && this.#has(this.#waiting[0].bytes)) this.#waiting.shift()?.resolve();
  }

  ready(bytes: number): Promise<void> | undefined {
    if (this.#has(bytes)) return undefined;
    return new Promise((resolve, reject) => this.#waiting.push({ bytes, resolve, reject }));
  }

  refuse(error: StorageError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #has(bytes: number): boolean {
    return this.#used + bytes <= this.#window;
  }
}
