import type { SegmentOffsets, SegmentRead, SegmentReader, SegmentState } from '../engine.ts';
import { MAX_STATE_BYTES } from '../engine.ts';
import { StorageError } from '../errors.ts';
import { checkCount, checkOffset, invalid } from './arguments.ts';
import type { GuardContext } from './guard-context.ts';
import { type ReadVerdict, verifyRead } from './verify-read.ts';

/** The reading side of a segment, of a writer too: arguments checked before, every answer checked after. */
export class GuardedReader implements SegmentReader {
  readonly #inner: SegmentReader;
  readonly #context: GuardContext;
  readonly #id: string;
  readonly #dense: boolean;
  #base: number | undefined;
  #committed = 0;
  #sealed = false;
  #closing: Promise<void> | undefined;

  constructor(inner: SegmentReader, context: GuardContext, id: string, dense: boolean) {
    this.#inner = inner;
    this.#context = context;
    this.#id = id;
    this.#dense = dense;
  }

  offsets(): SegmentOffsets {
    this.#refuseClosed();
    const offsets = this.#ask(() => this.#inner.offsets());
    if (!(Number.isSafeInteger(offsets?.base) && Number.isSafeInteger(offsets.committed)))
      throw this.#breach(`offsets are base ${offsets?.base}, committed ${offsets?.committed}`);
    const { base, committed, end, sealed } = offsets;
    if (!(base >= 0 && base <= committed && committed <= end && Number.isSafeInteger(end)))
      throw this.#breach(`offsets are base ${base}, committed ${committed}, end ${end}`);
    if (this.#base !== undefined && base !== this.#base) throw this.#breach(`base was ${this.#base} and is ${base}`);
    if (committed < this.#committed) throw this.#breach(`committed went back from ${this.#committed} to ${committed}`);
    if ((sealed && committed !== end) || (this.#sealed && (!sealed || committed !== this.#committed)))
      throw this.#breach(`a sealed segment has committed ${committed}, end ${end}`);
    this.#base = base;
    this.#committed = committed;
    this.#sealed = sealed;
    return offsets;
  }

  async state(): Promise<SegmentState> {
    this.#refuseClosed();
    const state = await this.#wait('read the state', () => this.#inner.state());
    if (!(state instanceof Uint8Array) || state.length > MAX_STATE_BYTES)
      throw this.#breach('the state is not bytes within the limit');
    return state;
  }

  async read(
    from: number,
    options: { readonly maxBytes: number; readonly signal?: AbortSignal },
  ): Promise<SegmentRead> {
    checkOffset(from, 'from');
    checkCount(options.maxBytes, 'maxBytes', Number.MAX_SAFE_INTEGER);
    const { base, committed } = this.offsets();
    if (from < base || from > committed)
      throw new StorageError(
        from < base ? 'OFFSET_TRIMMED' : 'OFFSET_BEYOND_END',
        `Offset ${from} is not in ${base} to ${committed}`,
        { where: `segment ${this.#id}`, offsets: { start: base, end: committed } },
      );
    if (options.signal?.aborted === true) throw aborted(this.#id);
    const read = await this.#wait('read', () => this.#inner.read(from, options));
    const good = this.#verify(from, committed, read);
    this.#context.readBytes.value += good.bytes.length;
    return good;
  }

  async offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    if (!Number.isSafeInteger(timestamp)) throw invalid(`${String(timestamp)} is not a timestamp in milliseconds`);
    this.#refuseClosed();
    const offset = await this.#wait('look up a timestamp', () => this.#inner.offsetForTimestamp(timestamp));
    if (offset === undefined) return undefined;
    const { base, committed } = this.offsets();
    if (!Number.isSafeInteger(offset) || offset < base || offset >= committed)
      throw this.#breach(`offset ${offset} for a timestamp is not in ${base} to ${committed}`);
    return offset;
  }

  close(): Promise<void> {
    this.#closing ??= this.#wait('close', () => this.#inner.close());
    return this.#closing;
  }

  #verify(from: number, committedBefore: number, read: SegmentRead): SegmentRead {
    if (!(read?.bytes instanceof Uint8Array)) throw this.#breach('a read gave no bytes');
    // an open segment may have grown meanwhile; once this is closed nobody can tell how far
    const { base, committed } =
      this.#closing === undefined
        ? this.offsets()
        : { base: this.#base ?? 0, committed: this.#sealed ? committedBefore : Number.MAX_SAFE_INTEGER };
    let verdict: ReadVerdict;
    try {
      verdict = verifyRead(read.bytes, { segment: this.#id, base, from, committed, dense: this.#dense });
    } catch (error) {
      throw this.#context.failure(error, 'read', this.#where());
    }
    const { next, bytes } = verdict;
    if (next !== undefined) {
      if (bytes < read.bytes.length) return { bytes: read.bytes.subarray(0, bytes), next };
      if (read.next !== next) throw this.#breach(`a read up to ${next} says to go on at ${read.next}`);
      return read;
    }
    // no batch: at the end, or in a hole that reaches the end
    const atEnd = from === committedBefore && read.next === from;
    if (!atEnd && (this.#dense || read.next !== committed))
      throw this.#breach(
        `a read from ${from} gave nothing below ${committedBefore}, and says to go on at ${read.next}`,
      );
    return read;
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined || this.#context.closed)
      throw new StorageError('CLOSED', 'The reader is closed', { where: this.#where() });
  }

  #ask<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.#context.failure(error, 'read', this.#where());
    }
  }

  async #wait<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw this.#context.failure(error, what, this.#where());
    }
  }

  #breach(what: string): StorageError {
    return this.#context.failure(this.#context.breach(what, this.#where(), 'CORRUPT'), 'read', this.#where());
  }

  #where(): string {
    return `segment ${this.#id} of ${this.#context.instance}`;
  }
}

function aborted(id: string): StorageError {
  return new StorageError('ABORTED', 'The caller no longer waits', { where: `segment ${id}` });
}
