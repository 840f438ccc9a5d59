import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SEAL_BYTES, seal, unseal } from './sealed-row.ts';

/** The newest revision, in a file beside the database. Overwritten in place without a sync after each commit. */
export class Witness {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(dir: string): Promise<Witness> {
    const path = join(dir, 'WITNESS');
    await (await open(path, 'a')).close(); // creates it
    return new Witness(await open(path, 'r+'));
  }

  /** 0 where it can't be read, which proves nothing: it is older than the first commit, or was being written when the power went. */
  async seen(): Promise<number> {
    const bytes = Buffer.alloc(64);
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, 0);
    return unseal('WITNESS', bytes.subarray(0, bytesRead))?.revision ?? 0;
  }

  async write(revision: number): Promise<void> {
    await this.#file.write(seal('WITNESS', revision, new Uint8Array(0)), 0, SEAL_BYTES, 0);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
