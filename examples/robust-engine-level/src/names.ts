import { open, readdir } from 'node:fs/promises';

/** What a row costs LevelDB in memory beside its bytes, at most. */
const ROW_BYTES = 128;

/**
 * LevelDB begins a new log when so many bytes have been written, syncs what it writes there, but not the name of the new file: a power cut
 * may take the file whole. So whenever there may be a new one, it is looked for, and its name synced before the commit counts.
 */
export class LogNames {
  readonly #dir: string;
  readonly #writeBufferBytes: number;
  #newest = '';
  /** At least, since the newest log was begun. */
  #bytes = 0;
  #unknown = 0;

  constructor(dir: string, writeBufferBytes: number) {
    this.#dir = dir;
    this.#writeBufferBytes = writeBufferBytes;
  }

  /** After each commit, with what it wrote. */
  async wrote(changes: readonly { readonly key: Uint8Array; readonly value?: Uint8Array }[]): Promise<void> {
    for (const { key, value } of changes) this.#bytes += key.length + (value?.length ?? 0) + ROW_BYTES;
    // memory is given out in blocks, so that the limit may be reached early
    if (this.#unknown > 0 || this.#bytes > this.#writeBufferBytes / 2) await this.sync();
  }

  /** Writes of which nobody knows how much: until they are over, and for one more log. */
  async during(writes: () => Promise<void>): Promise<void> {
    this.#unknown++;
    try {
      await writes();
    } finally {
      this.#unknown--;
      this.#bytes += this.#writeBufferBytes;
    }
  }

  async sync(): Promise<void> {
    const bytes = this.#bytes;
    const newest =
      (await readdir(this.#dir))
        .filter((name) => name.endsWith('.log'))
        .sort(byNumber)
        .at(-1) ?? '';
    if (newest === this.#newest) return;
    await syncNames(this.#dir);
    this.#newest = newest;
    this.#bytes -= bytes; // what came meanwhile may lie in yet another one
  }
}

/** Makes the names in a directory durable. */
export async function syncNames(dir: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function byNumber(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10);
}
