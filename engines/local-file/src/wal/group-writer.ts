import type { SyncFileSystem } from '@robustmq/core';
import type { FileGrant, WorkerStart } from './channel.ts';
import { GROUP_HEADER_BYTES, groupFileBytes, HeaderWriter, SECTOR_BYTES } from './frames.ts';

/** Zeros go ahead of the log by this much: few enough that nobody waits long, many enough that they cost little. */
const ZERO_BYTES = 1024 * 1024;

const LARGE_BYTES = 64 * 1024;

/** There is no file to go on in (no detail), or no room on the disk (the reason). Nothing was written. */
export class NoRoom extends Error {
  readonly detail: string | undefined;

  constructor(detail?: string) {
    super('no room for the next group');
    this.detail = detail;
  }
}

export interface LeftFile {
  readonly sequence: number;
  readonly zeroedBytes: number;
}

/** Puts groups into files, one behind the other. Blocking: lives in the worker, and in tests. */
export class GroupWriter {
  readonly #fs: SyncFileSystem;
  readonly #start: WorkerStart;
  readonly #ring: Uint8Array;
  readonly #header = new HeaderWriter();
  readonly #padding = new Uint8Array(SECTOR_BYTES);
  readonly #zeros = new Uint8Array(ZERO_BYTES);
  readonly #granted: FileGrant[] = [];
  #file: { readonly fd: number; readonly grant: FileGrant; zeroed: number } | undefined;
  #left: LeftFile | undefined;
  #ringOffset = 0;
  #position: number;
  /** The end of what is durable; below #position after a failure. */
  #end: number;
  #offset = 0;
  #sequence = 0;

  constructor(fs: SyncFileSystem, start: WorkerStart) {
    this.#fs = fs;
    this.#start = start;
    this.#ring = new Uint8Array(start.ring);
    this.#position = start.position;
    this.#end = start.position;
  }

  get end(): number {
    return this.#end;
  }

  get offset(): number {
    return this.#offset;
  }

  get sequence(): number {
    return this.#sequence;
  }

  grant(file: FileGrant): void {
    this.#granted.push(file);
  }

  resume(position: number, ringOffset: number): void {
    this.#position = position;
    this.#ringOffset = ringOffset;
  }

  /** The file that was left behind since this was asked last. */
  takeLeft(): LeftFile | undefined {
    const left = this.#left;
    this.#left = undefined;
    return left;
  }

  /**
   * Makes sure that a file is open and that the group's place in it is backed by blocks.
   * @throws NoRoom, and what the file system throws.
   */
  makeRoom(bytes: number): void {
    const needed = groupFileBytes(bytes);
    if (this.#file === undefined || this.#offset + needed > this.#start.fileBytes) {
      const next = this.#granted[0];
      if (next === undefined) throw new NoRoom();
      const fd = this.#orNoRoom(() => this.#open(next));
      this.#granted.shift();
      if (this.#file !== undefined) {
        this.#left = { sequence: this.#file.grant.sequence, zeroedBytes: this.#file.zeroed };
        this.#fs.close(this.#file.fd);
      }
      this.#file = { fd, grant: next, zeroed: next.zeroedBytes };
      this.#offset = 0;
      this.#sequence = next.sequence;
    }
    // a large group makes a new file longer by itself: zeros in front of it would cost more than the journal does
    if (needed < LARGE_BYTES) this.#zeroAhead(this.#offset + needed);
  }

  /** Writes the next `bytes` of the ring as one group; on the disk when it returns. */
  write(bytes: number): void {
    if (this.#file === undefined) throw new Error('no file: makeRoom comes first');
    this.#header.group({
      generation: this.#start.generation,
      fileSequence: this.#sequence,
      start: this.#position,
      previousEnd: this.#end,
      bytes,
    });
    const total = groupFileBytes(bytes);
    const first = Math.min(bytes, this.#ring.length - this.#ringOffset);
    const pieces: Uint8Array[] = [this.#header.bytes, this.#ring.subarray(this.#ringOffset, this.#ringOffset + first)];
    if (first < bytes) pieces.push(this.#ring.subarray(0, bytes - first));
    const padding = total - GROUP_HEADER_BYTES - bytes;
    if (padding > 0) pieces.push(this.#padding.subarray(0, padding));
    // nothing in this place was ever acknowledged, so that a group for which there was no room may be written there again
    const { fd } = this.#file;
    this.#orNoRoom(() => this.#fs.writev(fd, pieces, this.#offset));
    this.#offset += total;
    this.#file.zeroed = Math.max(this.#file.zeroed, this.#offset);
    this.#ringOffset = (this.#ringOffset + bytes) % this.#ring.length;
    this.#position += bytes;
    this.#end = this.#position;
  }

  /** Never touches the file in use again: after a failed write nobody knows what its pages hold. */
  abandonFile(): void {
    if (this.#file === undefined) return;
    try {
      this.#fs.close(this.#file.fd);
    } catch {
      // it has failed already
    }
    this.#file = undefined;
    this.#granted.length = 0;
  }

  close(): void {
    if (this.#file !== undefined) this.#fs.close(this.#file.fd);
    this.#file = undefined;
  }

  #open(grant: FileGrant): number {
    if (grant.zeroedBytes > 0) return this.#fs.open(grant.path, 'r+ds');
    let fd: number;
    try {
      fd = this.#fs.open(grant.path, 'wx+ds');
    } catch (error) {
      // begun before a crash, and empty
      if ((error as { code?: string }).code !== 'EEXIST') throw error;
      fd = this.#fs.open(grant.path, 'r+ds');
    }
    this.#fs.syncDirectory(this.#start.dir);
    return fd;
  }

  /** A write into blocks that are there is one disk write; one that makes the file longer waits for the journal, too. */
  #zeroAhead(end: number): void {
    const file = this.#file;
    if (file === undefined) return;
    while (file.zeroed < end) {
      const bytes = Math.min(ZERO_BYTES, Math.max(this.#start.fileBytes - file.zeroed, SECTOR_BYTES));
      this.#orNoRoom(() => this.#fs.writev(file.fd, [this.#zeros.subarray(0, bytes)], file.zeroed));
      file.zeroed += bytes;
    }
  }

  #orNoRoom<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code === 'ENOSPC' || code === 'EDQUOT') throw new NoRoom(message);
      throw error;
    }
  }
}
