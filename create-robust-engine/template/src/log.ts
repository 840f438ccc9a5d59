import { type EngineContext, type FileHandle, isDiskFull, StorageError } from '@robustmq/core';
import {
  bodyOffset,
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameReader,
  type Kind,
  type Meta,
  provenBy,
  stamp,
} from './frame.ts';
import type { Settings } from './settings.ts';

/** Called once for each frame, in the order of the file: when it is read at the start, and when it has become durable. */
export type Apply = (frame: Frame, bodyAt: number) => void;

interface Pending {
  readonly kind: Kind;
  readonly frame: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: StorageError) => void;
}

/** The file. Frames that come while a write is under way share the next one: a group, one write, one sync. */
export class Log {
  readonly #ctx: EngineContext<Settings>;
  readonly #dir: string;
  readonly #file: FileHandle;
  readonly #apply: Apply;
  #incarnation = '';
  /** Everything below has been synced: the next frame goes here. */
  #synced = 0;
  /** Everything below has a frame behind it that says so. */
  #proven = 0;
  /** The end of the last frame that is worth a proof. */
  #worth = 0;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #broken = false;
  /** Bytes that may be written before the disk is asked for its free space again. */
  #room = 0;
  #full = false;
  #idle: { cancel(): void } | undefined;

  static async open(ctx: EngineContext<Settings>, dir: string, apply: Apply): Promise<Log> {
    const there = (await ctx.fs.readdir(dir)).includes('segments.log');
    const log = new Log(ctx, dir, await ctx.fs.open(`${dir}/segments.log`, there ? 'r+' : 'wx+'), apply);
    try {
      await log.#replay();
      if (log.#synced === 0) {
        await log.#write([encodeFrame('file', '', { incarnation: ctx.random.uuid() })]);
        // proven at once, or damage to these few bytes would look like a file that was never used
        await log.#write([encodeFrame('mark', '', {})]);
      } else {
        // whoever wrote it may have been killed before its sync: what is read is in the kernel, and not on the disk for certain
        await log.#file.datasync();
      }
      // nor is its name
      await ctx.fs.syncDirectory(dir);
      log.#markWhenIdle();
      return log;
    } catch (error) {
      await log.#file.close().catch(() => {});
      throw error;
    }
  }

  private constructor(ctx: EngineContext<Settings>, dir: string, file: FileHandle, apply: Apply) {
    this.#ctx = ctx;
    this.#dir = dir;
    this.#file = file;
    this.#apply = apply;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  /** Resolves once the frame is durable and has been applied. @throws DISK_FULL (none), IO_ERROR (unknown) */
  append(kind: Kind, id: string, meta: Meta, body?: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ kind, frame: encodeFrame(kind, id, meta, body), resolve, reject });
      this.#writing ??= this.#writePending();
    });
  }

  async read(position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    const count = await this.#file.read(bytes, 0, length, position);
    if (count < length) throw new StorageError('CORRUPT', `segments.log ends at byte ${position + count}`);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#idle?.cancel();
    try {
      if (this.#proven < this.#worth) await this.#write([encodeFrame('mark', '', {})]);
    } catch {
      // only a precaution: what was acknowledged is synced
    } finally {
      await this.#file.close();
    }
  }

  async #writePending(): Promise<void> {
    // what is appended in this turn shares the write
    await null;
    while (this.#pending.length > 0) {
      let group = this.#pending;
      this.#pending = [];
      try {
        const refused = await this.#refuseFull(group);
        if (refused) group = group.filter(({ kind }) => ALWAYS.has(kind));
        await this.#write(group.map(({ frame }) => frame));
        for (const { resolve } of group) resolve();
        if (!refused) this.#reportFull(false);
      } catch (error) {
        // what came meanwhile was meant to lie behind this group
        for (const { reject } of [...group, ...this.#pending.splice(0)]) reject(error as StorageError); // thrown by #write
      }
    }
    this.#writing = undefined;
    this.#markWhenIdle();
  }

  async #write(frames: readonly Buffer[]): Promise<void> {
    if (frames.length === 0) return;
    const from = this.#synced;
    try {
      if (this.#broken) await this.#cut(from);
      let at = from;
      for (const frame of frames) {
        stamp(frame, at, from);
        at += frame.length;
      }
      await this.#file.write(Buffer.concat(frames), from);
      await this.#file.datasync();
    } catch (error) {
      throw await this.#failed(error);
    }
    for (const frame of frames) this.#take(frame, this.#synced);
  }

  /**
   * After a failed sync nobody knows what the disk has of the group, so it is cut away before anything is written in its place. Once that
   * is done, a full disk has cost nothing: `none`. Every other failure stays `unknown`, and core recovers the segments that it met.
   */
  async #failed(error: unknown): Promise<StorageError> {
    this.#broken = true;
    await this.#cut(this.#synced).catch(() => {});
    if (this.#broken || !isDiskFull(error))
      return new StorageError('IO_ERROR', 'segments.log could not be written', { where: this.#dir, cause: error });
    this.#reportFull(true);
    return this.#noRoom(error);
  }

  async #cut(end: number): Promise<void> {
    await this.#file.truncate(end);
    await this.#file.datasync();
    this.#broken = false;
  }

  /** Refuses the data of a group before any of it is written, while there is still room to seal, recover and delete. */
  async #refuseFull(group: readonly Pending[]): Promise<boolean> {
    const bytes = group.reduce((sum, { frame }) => sum + frame.length, 0);
    if (bytes > this.#room) {
      const { reserveBytes } = this.#ctx.config;
      const free = await this.#ctx.fs.freeBytes(this.#dir).catch(() => Number.POSITIVE_INFINITY); // the write will tell
      this.#room = Math.min(free - reserveBytes, Math.max(bytes, reserveBytes));
    }
    const refused = bytes > this.#room && group.some(({ kind }) => !ALWAYS.has(kind));
    this.#room -= bytes;
    if (!refused) return false;
    this.#reportFull(true);
    const behind = this.#pending;
    this.#pending = behind.filter(({ kind }) => ALWAYS.has(kind));
    for (const { kind, reject } of [...group, ...behind]) if (!ALWAYS.has(kind)) reject(this.#noRoom());
    return true;
  }

  #noRoom(cause?: unknown): StorageError {
    return new StorageError('DISK_FULL', 'the disk has no room for more data', { where: this.#dir, cause });
  }

  #reportFull(full: boolean): void {
    if (full === this.#full) return;
    this.#full = full;
    const detail = `free space on the disk of ${this.#dir}, or shorten retention`;
    this.#ctx.health(full ? { status: 'full', detail } : { status: 'ok', detail: '' });
  }

  /** Closes the window in which damage to the last group would be taken for a torn tail. */
  #markWhenIdle(): void {
    this.#idle?.cancel();
    if (this.#proven < this.#worth)
      this.#idle = this.#ctx.clock.timer(this.#ctx.config.markIdleMs, () => {
        if (this.#writing === undefined) this.append('mark', '', {}).catch(() => {});
      });
  }

  async #replay(): Promise<void> {
    const size = await this.#file.size();
    const reader = new FrameReader(this.#file, size);
    for (let frame = await reader.frameAt(0); frame !== undefined; frame = await reader.frameAt(this.#synced))
      this.#take(frame, this.#synced);
    if (this.#synced < size) await this.#refuseDamage(reader, this.#synced);
    // a torn tail goes; what a killed process had written, but perhaps never synced, is synced now
    await this.#cut(this.#synced);
  }

  /** A torn tail is what no later frame has proven. Anything else was acknowledged, and is not cut in silence. */
  async #refuseDamage(reader: FrameReader, from: number): Promise<void> {
    for (let at = await reader.nextMagic(from); at !== undefined; at = await reader.nextMagic(at + 1)) {
      const frame = await reader.frameAt(at);
      if (frame !== undefined && provenBy(frame) > from)
        throw new StorageError('CORRUPT', `damaged at byte ${from}, and the frame at ${at} proves that it was whole`, {
          where: `${this.#dir}/segments.log`,
          hint: 'Restore the directory from a copy',
        });
    }
  }

  #take(bytes: Buffer, at: number): void {
    const frame = decodeFrame(bytes);
    this.#proven = provenBy(bytes);
    this.#synced = at + bytes.length;
    if (frame.kind !== 'mark') this.#worth = this.#synced;
    if (frame.kind === 'file') this.#incarnation = frame.meta.incarnation ?? '';
    else this.#apply(frame, at + bodyOffset(bytes));
  }
}

/** What needs little room and must be possible on a full disk. */
const ALWAYS: ReadonlySet<Kind> = new Set<Kind>(['mark', 'seal', 'delete', 'publish']);
