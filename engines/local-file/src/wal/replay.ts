import {
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  entryBytes,
  GROUP_HEADER_BYTES,
  type GroupHeader,
  groupFileBytes,
  readEntryHeader,
  readGroupHeader,
  SECTOR_BYTES,
} from './frames.ts';
import type { LogFile, LogReads } from './log-reads.ts';
import { LogWindow } from './log-window.ts';
import { isBodyWhole } from './whole-body.ts';

export interface ReplayFile {
  readonly path: string;
  readonly sequence: number;
  /** Of every group in this file with this sequence. */
  readonly generation: number;
}

export interface ReplayVisitor {
  /** In the order of the log. `body`, which lies at `place` of `file`, is to be looked at now: it is overwritten soon. */
  entry(header: EntryHeader, body: Buffer, file: LogFile, place: number): void;
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
  reads: LogReads,
  files: readonly ReplayFile[],
  from: { readonly sequence: number; readonly offset: number; readonly position: number },
  maxGroupBytes: number,
  visitor: ReplayVisitor,
  stopAt: number = Number.POSITIVE_INFINITY,
): Promise<ReplayEnd> {
  let position = from.position;
  let torn = false;
  let gap: ReplayEnd['gap'];
  const window = new LogWindow();
  const first = files[0];
  if (first !== undefined && first.sequence > from.sequence) {
    const begins = (await firstHeader(reads, first))?.previousEnd ?? position;
    if (begins > position) gap = { after: from.sequence - 1, before: first.sequence };
  }
  for (const [at, file] of files.entries()) {
    const offset = file.sequence === from.sequence ? from.offset : 0;
    const source = await reads.file(file.path);
    // one that was granted and never begun
    if (source === undefined) continue;
    try {
      await window.use(source);
      const later = files[at + 1];
      const follows = later === undefined ? undefined : await firstHeader(reads, later);
      const bound = Math.min(follows?.previousEnd ?? Number.POSITIVE_INFINITY, stopAt);
      const walk = new FileWalk(window, source, file, bound, maxGroupBytes, visitor);
      position = await walk.run(position, offset);
      torn = walk.torn;
      if (walk.endedEarly && later !== undefined && later.sequence > file.sequence + 1)
        gap ??= { after: file.sequence, before: later.sequence };
    } finally {
      source.release();
    }
  }
  return { end: position, torn, ...(gap === undefined ? {} : { gap }) };
}

/** The first group of a file, if it is whole. */
async function firstHeader(reads: LogReads, file: ReplayFile): Promise<GroupHeader | undefined> {
  const source = await reads.file(file.path);
  if (source === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(GROUP_HEADER_BYTES);
    const count = await source.read(bytes, 0, bytes.length, 0);
    const header = readGroupHeader(bytes.subarray(0, count), 0);
    return header?.fileSequence === file.sequence ? header : undefined;
  } finally {
    source.release();
  }
}

/** One file, from a place on to its end, to the bound or to the cut. */
class FileWalk {
  readonly #window: LogWindow;
  readonly #source: LogFile;
  readonly #file: ReplayFile;
  /** When finite: all below is committed, all above is void. */
  readonly #bound: number;
  readonly #maxGroupBytes: number;
  readonly #visitor: ReplayVisitor;
  torn = false;
  /** There is nothing more in this file, and something was committed behind it. */
  endedEarly = false;

  constructor(
    window: LogWindow,
    source: LogFile,
    file: ReplayFile,
    bound: number,
    maxGroupBytes: number,
    visitor: ReplayVisitor,
  ) {
    this.#window = window;
    this.#source = source;
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
    const window = this.#window;
    let position = start;
    while (position < end) {
      const at = group + GROUP_HEADER_BYTES + (position - start);
      // nothing is awaited for most: a promise each would cost more than the entry
      const head = window.load(at, at + ENTRY_HEADER_BYTES);
      if (head !== undefined) await head;
      const header = readEntryHeader(window.bytes, at - window.base, position, this.#file.generation);
      const size = header === undefined ? 0 : entryBytes(header.bodyBytes);
      if (header !== undefined && position + size <= end) {
        const whole = window.load(at, at + size);
        if (whole !== undefined) await whole;
        if (isBodyWhole(window.bytes, at - window.base, header)) {
          const body = at + ENTRY_HEADER_BYTES;
          const from = body - window.base;
          this.#visitor.entry(header, window.bytes.subarray(from, from + header.bodyBytes), this.#source, body);
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
    const header = await this.#groupAt(at);
    if (header === undefined || !this.#isOurs(header) || header.start < position) return undefined;
    return { ...header, next: at + groupFileBytes(header.bytes) };
  }

  /** How far the log is proven by what comes at or behind `from`, and where that is. */
  async #proofBehind(from: number, position: number): Promise<{ readonly end: number; readonly at: number }> {
    const to = from + groupFileBytes(this.#maxGroupBytes);
    for (let at = from; at <= to && at < this.#window.size; at += SECTOR_BYTES) {
      const header = await this.#groupAt(at);
      if (header !== undefined && this.#isOurs(header) && header.previousEnd > position)
        return { end: header.previousEnd, at };
    }
    const end = this.#bound === Number.POSITIVE_INFINITY ? position : this.#bound;
    return { end: Math.max(end, position), at: this.#window.size };
  }

  async #groupAt(at: number): Promise<GroupHeader | undefined> {
    await this.#window.load(at, at + GROUP_HEADER_BYTES);
    return readGroupHeader(this.#window.bytes, at - this.#window.base);
  }

  #isOurs(header: GroupHeader): boolean {
    return header.fileSequence === this.#file.sequence && header.generation === this.#file.generation;
  }
}
