import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

const SLOT_BYTES = 512;

/**
 * How many commits the database is known to hold, written down beside it. A damaged frame makes SQLite end its write-ahead log there, in
 * silence and with all commits behind it: from inside, damage and a torn tail look alike. This number tells them apart.
 *
 * Two slots, written in turns: one is always whole.
 */
export class Proof {
  readonly #file: number;
  /** The slot that may be overwritten. */
  #free = 0;
  commits = 0;

  constructor(path: string) {
    closeSync(openSync(path, 'a'));
    this.#file = openSync(path, 'r+');
    for (const slot of [0, 1]) {
      const bytes = Buffer.alloc(12);
      const read = readSync(this.#file, bytes, 0, 12, slot * SLOT_BYTES);
      if (read < 12 || crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) continue;
      const commits = Number(bytes.readBigUInt64BE(0));
      if (commits <= this.commits) continue;
      this.commits = commits;
      this.#free = 1 - slot;
    }
  }

  /** Only what has been synced already. */
  write(commits: number): void {
    if (commits <= this.commits) return;
    const bytes = Buffer.alloc(12);
    bytes.writeBigUInt64BE(BigInt(commits), 0);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
    writeSync(this.#file, bytes, 0, 12, this.#free * SLOT_BYTES);
    fdatasyncSync(this.#file);
    this.#free = 1 - this.#free;
    this.commits = commits;
  }

  close(): void {
    closeSync(this.#file);
  }
}
