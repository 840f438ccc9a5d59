import type { FileHandle, FileSystem } from '@robustmq/core';
import {
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  entryBytes,
  GROUP_HEADER_BYTES,
  type GroupHeader,
  groupFileBytes,
  isBodyWhole,
  readEntryHeader,
  readGroupHeader,
  SECTOR_BYTES,
} from './frames.ts';

export interface ReplayFile {
  readonly path: string;
  readonly sequence: number;
  /** Of every group in this file with this sequence. */
  readonly generation: number;
}

export interface ReplayVisitor {
  /** In the order of the log. `body` may be kept: nothing writes there again. */
  entry(header: EntryHeader, body: Buffer): void;
  /** This entry was committed, and its body is damaged. */
  damaged(header: EntryHeader): void;
  /** Entries were committed in [from, to), and nobody can tell whose. */
  lost(from: number, to: number): void;
}

export interface ReplayEnd {
  /** One past the last entry that counts: what lies behind was never proven and is cut. */
  readonly end: number;
  /** True when something that looked like a beginning of more was cut. */
  readonly torn: boolean;
  /** Set when the log goes on in a file that does not follow the one before it, and something was committed in between. */
  readonly gap?: { readonly after: number; readonly before: number };
}

/**
 * Reads the log from a place on. The rule: a group's header names the end of what was committed before it. Damage below such an end is
 * damage of committed data, and is reported; damage at or above all of them is a write that did not finish, and the log ends at the
 * last whole entry before it. What a later file declares as void (above its first group's `previousEnd`) is skipped.
 */
export async function replay(
  fs: FileSystem,
  files: readonly ReplayFile[],
  from: { readonly sequence: number; readonly offset: number; readonly position: number },
  maxGroupBytes: number,
  visitor: ReplayVisitor,
  stopAt: number = Number.POSITIVE_INFINITY,
): Promise<ReplayEnd> {
  let position = from.position;
  let torn = false;
  let gap: ReplayEnd['gap'];
  const first = files[0];
  if (first !== undefined && first.sequence > from.sequence) {
    const begins = (await firstHeader(fs, first))?.previousEnd ?? position;
    if (begins > position) gap = { after: from.sequence - 1, before: first.sequence };
  }
  for (const [at, file] of files.entries()) {
    const offset = file.sequence === from.sequence ? from.offset : 0;
    const window = await FileWindow.open(fs, file.path, offset);
    if (window === undefined) continue;
    try {
      const later = files[at + 1];
      const follows = later === undefined ? undefined : await firstHeader(fs, later);
      const bound = Math.min(follows?.previousEnd ?? Number.POSITIVE_INFINITY, stopAt);
      const walk = new FileWalk(window, file, bound, maxGroupBytes, visitor);
      position = await walk.run(position, offset);
      torn = walk.torn;
      if (walk.endedEarly && later !== undefined && later.sequence > file.sequence + 1)
        gap ??= { after: file.sequence, before: later.sequence };
    } finally {
      await window.close();
    }
  }
  return { end: position, torn, ...(gap === undefined ? {} : { gap }) };
}

/** The first group of a file, if it is whole. */
async function firstHeader(fs: FileSystem, file: ReplayFile): Promise<GroupHeader | undefined> {
  const window = await FileWindow.open(fs, file.path, 0, GROUP_HEADER_BYTES);
  if (window === undefined) return undefined;
  try {
    await window.load(GROUP_HEADER_BYTES);
    const header = readGroupHeader(window.bytes, 0);
    return header?.fileSequence === file.sequence ? header : undefined;
  } finally {
    await window.close();
  }
}

/** One file, from a place on to its end, to the bound or to the cut. */
class FileWalk {
  readonly #window: FileWindow;
  readonly #file: ReplayFile;
  /** When finite: all below is committed, all above is void. */
  readonly #bound: number;
  readonly #maxGroupBytes: number;
  readonly #visitor: ReplayVisitor;
  torn = false;
  /** There is nothing more in this file, and something was committed behind it. */
  endedEarly = false;

  constructor(window: FileWindow, file: ReplayFile, bound: number, maxGroupBytes: number, visitor: ReplayVisitor) {
    this.#window = window;
    this.#file = file;
    this.#bound = bound;
    this.#maxGroupBytes = maxGroupBytes;
    this.#visitor = visitor;
  }

  async run(from: number, offset: number): Promise<number> {
    let position = from;
    let at = offset;
    while (position < this.#bound) {
      const header = await this.#headerAt(at, position);
      const group = header ?? (await this.#damagedGroup(at, position));
      // what a failed write left unclaimed is void; what the next group claims and is not here is lost
      if (group.previousEnd > position) this.#visitor.lost(position, group.previousEnd);
      const end = Math.min(group.start + group.bytes, this.#bound);
      const reached = await this.#entries(at, group.start, end, group.next);
      if (reached < end) {
        this.torn = header !== undefined || reached > position;
        return reached;
      }
      position = end;
      at = group.next;
    }
    return position;
  }

  /** A group whose header is damaged, or none at all: as much as what follows tells about it. */
  async #damagedGroup(at: number, position: number): Promise<GroupHeader & { readonly next: number }> {
    const { generation, sequence: fileSequence } = this.#file;
    const proof = await this.#proofBehind(at + SECTOR_BYTES, position);
    if (proof.end > position && proof.at === this.#window.size) this.endedEarly = true;
    const bytes = proof.end > position ? proof.end - position : Number.POSITIVE_INFINITY;
    return { generation, fileSequence, start: position, previousEnd: position, bytes, next: proof.at };
  }

  /** Visits entries in [start, end) and gives back where the log must be cut, or `end`. */
  async #entries(group: number, start: number, end: number, next: number): Promise<number> {
    let position = start;
    while (position < end) {
      const at = group + GROUP_HEADER_BYTES + (position - start);
      await this.#window.load(at + ENTRY_HEADER_BYTES);
      const { bytes } = this.#window;
      const header = readEntryHeader(bytes, at, position, this.#file.generation);
      const size = header === undefined ? 0 : entryBytes(header.bodyBytes);
      if (header !== undefined && position + size <= end) {
        await this.#window.load(at + size);
        if (isBodyWhole(bytes, at, header)) {
          this.#visitor.entry(
            header,
            bytes.subarray(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + header.bodyBytes),
          );
          position += size;
          continue;
        }
      }
      const proven = end === Number.POSITIVE_INFINITY ? position : (await this.#proofBehind(next, position)).end;
      if (proven <= position) return position;
      if (header === undefined || position + size > end) {
        this.#visitor.lost(position, end);
        return end;
      }
      this.#visitor.damaged(header);
      position += size;
    }
    return end;
  }

  async #headerAt(at: number, position: number): Promise<(GroupHeader & { readonly next: number }) | undefined> {
    await this.#window.load(at + SECTOR_BYTES);
    const header = readGroupHeader(this.#window.bytes, at);
    if (header === undefined || !this.#isOurs(header) || header.start < position) return undefined;
    return { ...header, next: at + groupFileBytes(header.bytes) };
  }

  /** How far the log is proven by what comes at or behind `from`, and where that is. */
  async #proofBehind(from: number, position: number): Promise<{ readonly end: number; readonly at: number }> {
    const to = from + groupFileBytes(this.#maxGroupBytes);
    for (let at = from; at <= to && at < this.#window.size; at += SECTOR_BYTES) {
      await this.#window.load(at + SECTOR_BYTES);
      const header = readGroupHeader(this.#window.bytes, at);
      if (header !== undefined && this.#isOurs(header) && header.previousEnd > position)
        return { end: header.previousEnd, at };
    }
    const end = this.#bound === Number.POSITIVE_INFINITY ? position : this.#bound;
    return { end: Math.max(end, position), at: this.#window.size };
  }

  #isOurs(header: GroupHeader): boolean {
    return header.fileSequence === this.#file.sequence && header.generation === this.#file.generation;
  }
}

/** A file from a place on, as one buffer that fills as it is asked for. */
class FileWindow {
  readonly bytes: Buffer;
  readonly #file: FileHandle;
  #loaded: number;
  #reading: Promise<number> | undefined;

  private constructor(file: FileHandle, bytes: Buffer, from: number) {
    this.#file = file;
    this.bytes = bytes;
    this.#loaded = Math.min(from, bytes.length);
  }

  static async open(
    fs: FileSystem,
    path: string,
    from: number,
    most = Number.POSITIVE_INFINITY,
  ): Promise<FileWindow | undefined> {
    let file: FileHandle;
    try {
      file = await fs.open(path, 'r');
    } catch (error) {
      // one that was granted and never begun
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw error;
    }
    return new FileWindow(file, Buffer.allocUnsafeSlow(Math.min(await file.size(), most)), from);
  }

  get size(): number {
    return this.bytes.length;
  }

  /** Makes sure of the bytes in front of `to`, and has the next ones read meanwhile. */
  async load(to: number): Promise<void> {
    while (to > this.#loaded && this.#loaded < this.size) {
      const ahead = this.#reading ?? this.#read();
      this.#reading = undefined;
      this.#loaded = await ahead;
      if (this.#loaded < this.size) {
        this.#reading = this.#read();
        // whoever needs it will hear of the failure
        this.#reading.catch(() => {});
      }
    }
  }

  async #read(): Promise<number> {
    const from = this.#loaded;
    const length = Math.min(this.size - from, READ_BYTES);
    const count = await this.#file.read(this.bytes, from, length, from);
    // what cannot be read parses as nothing
    this.bytes.fill(0, from + count, from + length);
    return from + length;
  }

  async close(): Promise<void> {
    await this.#reading?.catch(() => {});
    await this.#file.close();
  }
}

const READ_BYTES = 2 * 1024 * 1024;
