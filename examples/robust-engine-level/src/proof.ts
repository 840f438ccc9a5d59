import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

const SLOT_BYTES = 512;

/**
 * How many commits the database is known to hold, beside it. LevelDB ends its log at a damaged block and says nothing, so that from inside
 * damage and a torn tail look alike; this number tells them apart. Two slots, written by turns: one is always whole.
 */
export class Proof {
  readonly #file: FileHandle;
  #slot = 0;
  commits = 0;

  static async open(path: string): Promise<Proof> {
    const proof = new Proof(await open(path, 'r+').catch(() => open(path, 'wx+')));
    await proof.#read();
    return proof;
  }

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Only what has been synced. */
  async write(commits: number): Promise<void> {
    if (commits <= this.commits) return;
    const bytes = Buffer.alloc(12);
    bytes.writeBigUInt64BE(BigInt(commits), 0);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
    // never over the number that counts until this one does
    const slot = 1 - this.#slot;
    await this.#file.write(bytes, 0, bytes.length, slot * SLOT_BYTES);
    await this.#file.datasync();
    this.#slot = slot;
    this.commits = commits;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #read(): Promise<void> {
    for (const slot of [0, 1]) {
      const bytes = Buffer.alloc(12);
      const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, slot * SLOT_BYTES);
      if (bytesRead < bytes.length || crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) continue;
      const commits = Number(bytes.readBigUInt64BE(0));
      if (commits <= this.commits) continue;
      this.commits = commits;
      this.#slot = slot;
    }
  }
}
