import { relative, sep } from 'node:path';
import type { RecordedCall, RecordedEvent } from './recorded-log.ts';
import { SECTOR_BYTES, SparseBytes } from './recorded-pages.ts';

/**
 * What a power cut may leave of what was done so far, as journalling file systems do it:
 *
 * - A write is there for certain when a sync of its file that began after it had returned has returned, or when it was itself O_DSYNC and
 *   has returned. Until then each sector that it covers holds what it held before, or this, or what came later: sectors reach the
 *   disk one by one, in any order.
 * - A file is as long as what has reached the disk makes it. Cutting a file comes before whatever is written to it later.
 * - Names (made, renamed, removed, directories) are there for certain once a sync of their directory has returned that began after them. Until
 *   then the oldest so many of each directory are there; a file may be synced and have no name.
 *
 * Feed it the events in order; between any two of them `left` gives the disk for a choice of what survives.
 */
export class RecordedDisk {
  readonly #root: string;
  readonly #top = new Directory();
  readonly #open = new Map<number, File>();
  readonly #running = new Map<number, { readonly call: RecordedCall; readonly at: number; readonly change?: Change }>();
  #time = 0;

  /** Of all paths below `root`, which was there before and is empty; what lies elsewhere is not looked at. */
  constructor(root: string) {
    this.#root = root;
  }

  apply(event: RecordedEvent): void {
    this.#time++;
    if (event.kind === 'begin') {
      const change = this.#begin(event.op, event.call, event.bytes);
      this.#running.set(event.op, { call: event.call, at: this.#time, ...(change === undefined ? {} : { change }) });
    } else if (event.kind === 'end') {
      const begun = this.#running.get(event.op);
      this.#running.delete(event.op);
      if (begun !== undefined) this.#end(begun.call, begun.at, begun.change, event.failed);
    }
  }

  left(survives: Survivors): DiskImage {
    const image: DiskImage = { directories: [], files: new Map() };
    const chosen = new Set<NameChange>();
    this.#top.choose(survives, chosen);
    this.#top.collect('', chosen, survives, image);
    return image;
  }

  /** Writes that a power cut may still undo, oldest first, as far as their files have names. */
  unsynced(): UnsyncedWrite[] {
    const found: UnsyncedWrite[] = [];
    this.#top.forEachFile('', (path, file) => {
      for (const change of file.pending)
        if (change.kind === 'write' && !change.durable) found.push({ ...change, path });
    });
    return found.sort((a, b) => a.op - b.op);
  }

  /** Names made, changed or removed that a power cut may still undo. */
  unsyncedNames(): number {
    return this.#top.unsyncedNames();
  }

  #begin(op: number, call: RecordedCall, bytes: Uint8Array | undefined): Change | undefined {
    switch (call.does) {
      case 'open':
        return this.#openFile(op, call.path, call.flags);
      case 'write': {
        const { position, length } = call;
        const data = bytes === undefined || bytes.length === 0 ? undefined : bytes;
        return this.#open.get(call.file)?.add({ kind: 'write', op, position, length, ...newChange(), bytes: data });
      }
      case 'truncate':
        return this.#open.get(call.file)?.add({ kind: 'truncate', op, length: call.length, ...newChange() });
      case 'mkdir':
        return this.#makeDirectories(op, call.path);
      case 'unlink': {
        const place = this.#place(call.path);
        if (place === undefined || !place.directory.live.has(place.name)) return undefined;
        return nameChange(op, [{ ...place, node: undefined }]);
      }
      case 'rename': {
        const from = this.#place(call.from);
        const to = this.#place(call.to);
        const node = from?.directory.live.get(from.name);
        if (from === undefined || to === undefined || node === undefined) return undefined;
        return nameChange(op, [
          { ...to, node },
          { ...from, node: undefined },
        ]);
      }
      default:
        return undefined;
    }
  }

  #end(call: RecordedCall, begunAt: number, change: Change | undefined, failed: boolean): void {
    if (failed) {
      // a failed write may be there all the same
      if (change?.kind === 'names') for (const step of change.steps) step.directory.withdraw(change);
      return;
    }
    if (change !== undefined) change.endedAt = this.#time;
    if (call.does === 'write' && call.synced && change !== undefined) change.durable = true;
    if (call.does === 'datasync') this.#open.get(call.file)?.synced(begunAt);
    if (call.does === 'syncDirectory') this.#directory(this.#parts(call.path))?.synced(begunAt);
    if (call.does === 'write') this.#open.get(call.file)?.settle();
  }

  #openFile(op: number, path: string, flags: string): Change | undefined {
    const place = this.#place(path);
    if (place === undefined) return undefined;
    const found = place.directory.live.get(place.name);
    if (found instanceof Directory) return undefined;
    if (found !== undefined) {
      if (flags.startsWith('wx')) return undefined;
      this.#open.set(op, found);
      return flags.startsWith('w') ? found.add({ kind: 'truncate', op, length: 0, ...newChange() }) : undefined;
    }
    if (!flags.startsWith('w')) return undefined;
    const file = new File();
    this.#open.set(op, file);
    return nameChange(op, [{ ...place, node: file }]);
  }

  /** One change however many levels are new: it is there when the outermost is. */
  #makeDirectories(op: number, path: string): Change | undefined {
    let directory = this.#top;
    const steps: NameStep[] = [];
    for (const name of this.#parts(path) ?? []) {
      const found = directory.live.get(name);
      if (found instanceof File) return undefined;
      const next: Directory = found ?? new Directory();
      if (found === undefined) steps.push({ directory, name, node: next });
      directory = next;
    }
    return steps.length === 0 ? undefined : nameChange(op, steps);
  }

  #place(path: string): { readonly directory: Directory; readonly name: string } | undefined {
    const parts = this.#parts(path);
    const name = parts?.pop();
    const directory = this.#directory(parts);
    return name === undefined || directory === undefined ? undefined : { directory, name };
  }

  #directory(parts: readonly string[] | undefined): Directory | undefined {
    if (parts === undefined) return undefined;
    let directory = this.#top;
    for (const part of parts) {
      const next = directory.live.get(part);
      if (!(next instanceof Directory)) return undefined;
      directory = next;
    }
    return directory;
  }

  #parts(path: string): string[] | undefined {
    const below = relative(this.#root, path);
    if (below === '') return [];
    const parts = below.split(sep);
    return parts[0] === '..' ? undefined : parts;
  }
}

/** What of that which is not certain is there. Asked about the same thing it must say the same. */
export interface Survivors {
  /** How many of a directory's `count` changes of names, oldest first; `directory` is a number for each of them. */
  names(count: number, directory: number): number;
  /** Whether what the write has put in this sector of its file has reached the disk. */
  sector(write: number, sector: number): boolean;
  /** Whether a file was cut, or made longer, when nothing that was written behind it tells. */
  resized(op: number): boolean;
}

/** Paths from the root, with `/`. */
export interface DiskImage {
  readonly directories: string[];
  readonly files: Map<string, SparseBytes>;
}

export interface UnsyncedWrite {
  readonly op: number;
  readonly path: string;
  readonly position: number;
  readonly length: number;
  /** Undefined: zeros. */
  readonly bytes: Uint8Array | undefined;
}

interface Progress {
  endedAt: number;
  durable: boolean;
}

interface WriteChange extends Progress {
  readonly kind: 'write';
  readonly op: number;
  readonly position: number;
  readonly length: number;
  readonly bytes: Uint8Array | undefined;
}

type FileChange =
  | WriteChange
  | (Progress & { readonly kind: 'truncate'; readonly op: number; readonly length: number });

interface NameStep {
  readonly directory: Directory;
  readonly name: string;
  readonly node: File | Directory | undefined;
}

/** The first step's directory decides whether it is there. */
interface NameChange extends Progress {
  readonly kind: 'names';
  readonly op: number;
  readonly steps: readonly NameStep[];
}

type Change = FileChange | NameChange;

function newChange(): Progress {
  return { endedAt: Number.POSITIVE_INFINITY, durable: false };
}

function nameChange(op: number, steps: readonly NameStep[]): NameChange {
  const change: NameChange = { kind: 'names', op, steps, ...newChange() };
  for (const directory of new Set(steps.map((step) => step.directory))) directory.add(change);
  return change;
}

class File {
  readonly #durable = new SparseBytes();
  #pending: FileChange[] = [];

  get pending(): readonly FileChange[] {
    return this.#pending;
  }

  add(change: FileChange): Change {
    this.#pending.push(change);
    return change;
  }

  synced(begunAt: number): void {
    for (const change of this.#pending) if (change.endedAt < begunAt) change.durable = true;
    this.settle();
  }

  /** What nothing can undo any more needs no list. */
  settle(): void {
    let count = 0;
    for (const change of this.#pending) {
      if (!change.durable) break;
      if (change.kind === 'truncate') this.#durable.truncate(change.length);
      else this.#durable.write(change.position, change.length, change.bytes);
      count++;
    }
    this.#pending.splice(0, count);
  }

  left(survives: Survivors): SparseBytes {
    const bytes = new SparseBytes(this.#durable);
    const newest = this.#newest(survives);
    for (const [at, change] of this.#pending.entries()) {
      if (change.kind === 'truncate') {
        if (at <= newest.resize) bytes.truncate(change.length);
      } else writeSectors(bytes, change, (sector) => (newest.sectors.get(sector) ?? -1) >= at);
    }
    return bytes;
  }

  /** Which of the changes each sector has seen last: as it was in memory then, with all that came before. */
  #newest(survives: Survivors): { readonly sectors: ReadonlyMap<number, number>; readonly resize: number } {
    const sectors = new Map<number, number>();
    let resize = -1;
    let last = -1;
    for (const [at, change] of this.#pending.entries()) {
      if (change.kind === 'truncate') {
        if (change.durable || survives.resized(change.op)) resize = at;
        continue;
      }
      const end = change.position + change.length;
      for (let sector = Math.floor(change.position / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++)
        if (change.durable || survives.sector(change.op, sector)) {
          sectors.set(sector, at);
          last = at;
        }
    }
    return { sectors, resize: Math.max(resize, last) };
  }
}

/** Sectors that lie in a row are written as one. */
function writeSectors(into: SparseBytes, write: WriteChange, has: (sector: number) => boolean): void {
  const { position, bytes } = write;
  const end = position + write.length;
  let from = -1;
  for (let sector = Math.floor(position / SECTOR_BYTES); ; sector++) {
    const start = Math.max(position, sector * SECTOR_BYTES);
    const there = start < end && has(sector);
    if (there && from === -1) from = start;
    else if (!there && from !== -1) {
      const to = Math.min(end, start);
      into.write(from, to - from, bytes?.subarray(from - position, to - position));
      from = -1;
    }
    if (start >= end) return;
  }
}

let directories = 0;

class Directory {
  readonly #number = directories++;
  /** What the running system sees. */
  readonly live: Map<string, File | Directory> = new Map();
  readonly #durable = new Map<string, File | Directory>();
  #pending: NameChange[] = [];

  add(change: NameChange): void {
    this.#pending.push(change);
    this.#apply(change, this.live);
  }

  withdraw(change: NameChange): void {
    this.#pending = this.#pending.filter((one) => one !== change);
    this.live.clear();
    for (const [name, node] of this.#durable) this.live.set(name, node);
    for (const one of this.#pending) this.#apply(one, this.live);
  }

  synced(begunAt: number): void {
    const last = this.#pending.findLastIndex((change) => change.endedAt < begunAt);
    for (const change of this.#pending.slice(0, last + 1)) change.durable = true;
    for (const change of this.#pending.splice(0, last + 1)) this.#apply(change, this.#durable);
  }

  /** Decides about its own changes and those of all directories that it has, ever had, or may have. */
  choose(survives: Survivors, chosen: Set<NameChange>): void {
    const certain = this.#pending.findLastIndex((change) => change.durable) + 1;
    const count = this.#pending.length === 0 ? 0 : survives.names(this.#pending.length, this.#number);
    for (const change of this.#pending.slice(0, Math.max(certain, count)))
      if (change.steps[0]?.directory === this) chosen.add(change);
    const below = new Set([...this.#durable.values(), ...this.live.values()]);
    for (const change of this.#pending) for (const { node } of change.steps) if (node !== undefined) below.add(node);
    for (const node of below) if (node instanceof Directory) node.choose(survives, chosen);
  }

  collect(path: string, chosen: ReadonlySet<NameChange>, survives: Survivors, image: DiskImage): void {
    const names = new Map(this.#durable);
    for (const change of this.#pending) if (change.durable || chosen.has(change)) this.#apply(change, names);
    for (const [name, node] of names) {
      const at = path === '' ? name : `${path}/${name}`;
      if (node instanceof File) image.files.set(at, node.left(survives));
      else {
        image.directories.push(at);
        node.collect(at, chosen, survives, image);
      }
    }
  }

  unsyncedNames(): number {
    let count = this.#pending.length;
    for (const node of this.live.values()) if (node instanceof Directory) count += node.unsyncedNames();
    return count;
  }

  forEachFile(path: string, visit: (path: string, file: File) => void): void {
    for (const [name, node] of this.live) {
      const at = path === '' ? name : `${path}/${name}`;
      if (node instanceof File) visit(at, node);
      else node.forEachFile(at, visit);
    }
  }

  #apply(change: NameChange, names: Map<string, File | Directory>): void {
    for (const { directory, name, node } of change.steps) {
      if (directory !== this) continue;
      if (node === undefined) names.delete(name);
      else names.set(name, node);
    }
  }
}
