import { appendFileSync, closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** Where bytes lie on a shelf. */
export interface Place {
  readonly at: number;
  readonly bytes: number;
}

/** What a medium holds lies in a file, so that the memory of the process is the engine's alone. Always answers at once: the weather is elsewhere. */
export class Shelf {
  readonly #path: string;
  #end = 0;

  constructor(dir: string) {
    this.#path = join(dir, 'shelf');
  }

  put(bytes: Uint8Array): Place {
    const place = { at: this.#end, bytes: bytes.length };
    appendFileSync(this.#path, bytes);
    this.#end += bytes.length;
    return place;
  }

  get({ at, bytes }: Place): Uint8Array {
    const found = new Uint8Array(bytes);
    if (bytes === 0) return found;
    const file = openSync(this.#path, 'r');
    try {
      readSync(file, found, 0, bytes, at);
    } finally {
      closeSync(file);
    }
    return found;
  }
}
