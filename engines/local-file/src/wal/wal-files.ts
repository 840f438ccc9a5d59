import { basename, join } from 'node:path';
import type { FileSystem } from '@robustmq/core';
import type { FileGrant } from './channel.ts';
import type { FilePreparer } from './file-preparer.ts';

/** Each of them may be as large as a file of the log; with none but failing writes nothing becomes free. */
const MAX_RETIRED = 24;

export interface WalFile {
  readonly path: string;
  /** Of its present content; 0 while it has none. */
  sequence: number;
  /** In which it was written; 0 before. */
  generation: number;
  zeroedBytes: number;
  /** It is in the directory for certain, and stays there through a crash. */
  present: boolean;
  state: 'preparing' | 'free' | 'granted' | 'used' | 'retired';
}

/** Which files the log is made of: some hold what is not yet safe elsewhere, the others wait to be written again. */
export class WalFiles {
  readonly #fs: FileSystem;
  readonly #dir: string;
  readonly #limit: number;
  readonly #generation: number;
  readonly #files: WalFile[] = [];
  #nextName = 0;
  nextSequence: number;
  /** How many have come to be in the directory. */
  made = 0;

  /** `found`: what a directory holds at open, all of it still needed. */
  constructor(
    fs: FileSystem,
    dir: string,
    limit: number,
    found: readonly WalFile[],
    now: { readonly generation: number; readonly nextSequence: number },
  ) {
    this.#generation = now.generation;
    this.#fs = fs;
    this.#dir = dir;
    this.#limit = limit;
    this.nextSequence = now.nextSequence;
    for (const file of found) {
      this.#files.push(file);
      this.#nextName = Math.max(this.#nextName, Number.parseInt(file.path.slice(dir.length + 1), 10) + 1);
    }
  }

  /** The next file to write, of those that are there; `undefined` when all are needed. */
  grant(): FileGrant | undefined {
    const file = this.#files.find((one) => one.state === 'free');
    return file === undefined ? undefined : this.#grant(file);
  }

  /** A new one, empty; `undefined` when there are enough. */
  grantEmpty(): FileGrant | undefined {
    return this.#mayGrow ? this.#grant(this.#add('free')) : undefined;
  }

  /** Has a new one prepared, unless there are enough. @returns false when there is none */
  async prepare(preparer: FilePreparer): Promise<boolean> {
    if (!this.#mayGrow) return false;
    const file = this.#add('preparing');
    const done = await preparer.prepare(file.path);
    if (done) {
      file.zeroedBytes = preparer.fileBytes;
      this.#isThere(file);
      file.state = 'free';
    } else this.#files.splice(this.#files.indexOf(file), 1);
    return done;
  }

  get hasFree(): boolean {
    return this.#files.some((file) => file.state === 'free');
  }

  /** One that has failed does not count: its place is taken by another. */
  get #mayGrow(): boolean {
    return this.#files.filter((one) => one.state !== 'retired').length < this.#limit;
  }

  #add(state: 'free' | 'preparing'): WalFile {
    const path = join(this.#dir, walFileName(this.#nextName++));
    const file: WalFile = { path, sequence: 0, generation: 0, zeroedBytes: 0, present: false, state };
    this.#files.push(file);
    return file;
  }

  #grant(file: WalFile): FileGrant {
    file.state = 'granted';
    file.sequence = this.nextSequence++;
    file.generation = this.#generation;
    return { path: file.path, sequence: file.sequence, zeroedBytes: file.zeroedBytes };
  }

  /** The worker writes into this one now, and has written into those in front of it. */
  entered(sequence: number): void {
    for (const file of this.#files) {
      if (file.state !== 'granted' || file.sequence > sequence) continue;
      file.state = 'used';
      // one that was jumped over may not have been made
      if (file.sequence === sequence) this.#isThere(file);
    }
  }

  left(sequence: number, zeroedBytes: number): void {
    const file = this.#bySequence(sequence);
    if (file !== undefined) file.zeroedBytes = zeroedBytes;
  }

  /**
   * A write to one of these has failed: they keep what they hold and are never written again.
   * @returns false when so many have failed that there is no point in going on
   */
  retire(sequence: number): boolean {
    for (const file of this.#files) if (file.sequence === sequence || file.state === 'granted') file.state = 'retired';
    return this.#files.filter((file) => file.state === 'retired').length <= MAX_RETIRED;
  }

  /** Nothing in front of file `sequence` is needed any longer. */
  async release(sequence: number): Promise<void> {
    for (const file of [...this.#files]) {
      if (file.sequence >= sequence || file.sequence === 0) continue;
      if (file.state === 'used') file.state = 'free';
      if (file.state === 'retired') {
        this.#files.splice(this.#files.indexOf(file), 1);
        await this.#fs.unlink(file.path).catch(() => {});
      }
    }
  }

  /** Makes what is granted and not there yet: nobody can tell a file that is gone from one that never was. */
  async makeGranted(): Promise<void> {
    const missing = this.#files.filter((file) => file.state === 'granted' && !file.present);
    for (const file of missing) await (await this.#fs.open(file.path, 'w+')).close();
    // whoever made those that are there may have been killed before it had synced their names
    await this.#fs.syncDirectory(this.#dir);
    for (const file of missing) this.#isThere(file);
  }

  /** Names of those that must be there at the next start, when reading begins at file `sequence`. */
  namesFrom(sequence: number): string[] {
    return this.#files
      .filter((file) => file.present && (file.state !== 'retired' || file.sequence >= sequence))
      .map((file) => basename(file.path));
  }

  get spare(): boolean {
    return this.hasFree || this.#mayGrow;
  }

  /** Where the next group goes if nothing was written yet. */
  get firstGranted(): number {
    let first = this.nextSequence;
    for (const file of this.#files) if (file.state === 'granted') first = Math.min(first, file.sequence);
    return first;
  }

  /** Paths of what may hold entries at or behind file `sequence`, in order. */
  from(sequence: number): WalFile[] {
    return this.#files
      .filter((file) => file.sequence >= sequence && (file.state === 'used' || file.state === 'retired'))
      .sort((a, b) => a.sequence - b.sequence);
  }

  #isThere(file: WalFile): void {
    if (!file.present) this.made++;
    file.present = true;
  }

  #bySequence(sequence: number): WalFile | undefined {
    return this.#files.find((file) => file.sequence === sequence);
  }
}

export function walFileName(number: number): string {
  return `${String(number).padStart(6, '0')}.wal`;
}

export function isWalFileName(name: string): boolean {
  return /^\d{6,}\.wal$/.test(name);
}
