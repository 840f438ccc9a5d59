import { closeSync, constants, fsyncSync, openSync, rmSync, write, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Send } from './closed-loop.ts';

const FILE_BYTES = 256 * 1024 * 1024;
const SCRATCH_BYTES = 4 * 1024 * 1024;

/**
 * What the disk gives to JavaScript at best, with the same promise: a file of zeroes, opened with O_DSYNC; all that waits is copied into one
 * buffer and written at once, one write in flight; then everybody in it is told. No framing, no CRC, no index, no segment files.
 */
export class RawGroupCommit {
  readonly #path: string;
  readonly #fileBytes: number;
  readonly #fd: number;
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES);
  readonly #record: Buffer;
  #waiting: ((error?: unknown) => void)[] = [];
  #writing = false;
  #position = 0;

  constructor(directory: string, recordBytes: number, fileBytes: number = FILE_BYTES) {
    this.#fileBytes = fileBytes;
    this.#record = Buffer.alloc(recordBytes, 'x');
    this.#path = join(directory, 'raw');
    const zeroes = openSync(this.#path, 'w');
    for (let at = 0; at < fileBytes; at += SCRATCH_BYTES) writeSync(zeroes, this.#scratch, 0, SCRATCH_BYTES, at);
    // or the kernel writes them back under whatever is measured next
    fsyncSync(zeroes);
    closeSync(zeroes);
    this.#fd = openSync(this.#path, constants.O_RDWR | constants.O_DSYNC);
  }

  readonly send: Send = (_client, done) => {
    this.#waiting.push(done);
    if (!this.#writing) {
      this.#writing = true;
      // what is sent in this turn shares the write
      setImmediate(() => this.#commit());
    }
  };

  close(): void {
    closeSync(this.#fd);
    rmSync(this.#path);
  }

  #commit(): void {
    const most = Math.floor(SCRATCH_BYTES / this.#record.length);
    const group = this.#waiting.splice(0, most);
    let bytes = 0;
    for (let i = 0; i < group.length; i++) bytes += this.#record.copy(this.#scratch, bytes);
    if (this.#position + bytes > this.#fileBytes) this.#position = 0;
    write(this.#fd, this.#scratch, 0, bytes, this.#position, (error) => {
      this.#position += bytes;
      for (const done of group) done(error ?? undefined);
      if (this.#waiting.length > 0) this.#commit();
      else this.#writing = false;
    });
  }
}
