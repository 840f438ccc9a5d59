/**
 * Core's side of every engine. What an engine is given has been checked, what it gives is checked before anyone relies on it, and
 * whatever goes wrong ends in a typed error. So an engine stays a small driver, and its promises hold even where it is careless.
 */
import type {
  ArchiveShelf,
  CreateOptions,
  EngineDefinition,
  IngestOptions,
  IngestResult,
  SegmentReader,
  SegmentWriter,
  StorageEngine,
} from '../engine.ts';
import { StorageError } from '../errors.ts';
import {
  checkCount,
  checkEpoch,
  checkOffset,
  checkPrefix,
  checkSegmentId,
  checkState,
  invalid,
  MAX_LIST,
} from './arguments.ts';
import { GuardContext, type GuardOptions } from './guard-context.ts';
import { GuardedReader } from './guarded-reader.ts';
import { GuardedWriter } from './guarded-writer.ts';
import { VerifiedIngest } from './verify-ingest.ts';

export type { GuardOptions } from './guard-context.ts';

/** Wraps an engine. The result keeps every promise of {@link StorageEngine} that can be kept from outside. */
export function guardEngine(
  engine: StorageEngine,
  definition: Pick<EngineDefinition, 'name' | 'capabilities'>,
  options: GuardOptions,
): StorageEngine {
  return new GuardedEngine(engine, definition, options);
}

class GuardedEngine implements StorageEngine {
  readonly #inner: StorageEngine;
  readonly #definition: Pick<EngineDefinition, 'name' | 'capabilities'>;
  readonly #context: GuardContext;
  readonly #writers = new Set<GuardedWriter>();
  readonly #dropWriter = (writer: GuardedWriter): void => void this.#writers.delete(writer);
  #closing: Promise<void> | undefined;

  constructor(
    inner: StorageEngine,
    definition: Pick<EngineDefinition, 'name' | 'capabilities'>,
    options: GuardOptions,
  ) {
    this.#inner = inner;
    this.#definition = definition;
    this.#context = new GuardContext(options, definition.capabilities.maxBatchBytes);
  }

  get incarnation(): string {
    return this.#inner.incarnation;
  }

  get shelf(): ArchiveShelf | undefined {
    const { shelf } = this.#inner;
    if (shelf === undefined) return undefined;
    return {
      place: async (id) => {
        checkSegmentId(id);
        return await this.#call('say where it lies', id, () => shelf.place(id));
      },
      putManifest: async (number, bytes) => {
        checkCount(number, 'number', Number.MAX_SAFE_INTEGER);
        await this.#call('put a manifest', String(number), () => shelf.putManifest(number, bytes));
      },
      deleteManifest: async (number) => {
        checkCount(number, 'number', Number.MAX_SAFE_INTEGER);
        await this.#call('delete a manifest', String(number), () => shelf.deleteManifest(number));
      },
    };
  }

  async create(id: string, options: CreateOptions): Promise<SegmentWriter> {
    checkSegmentId(id);
    const { base, epoch, config, state } = options;
    checkOffset(base, 'base');
    checkEpoch(epoch);
    checkState(state);
    if (typeof config !== 'object' || config === null) throw invalid('The settings of a segment are an object');
    if (!this.#definition.capabilities.append)
      throw new StorageError('NOT_SUPPORTED', `Engine ${this.#definition.name} takes whole segments only`, {
        where: `segment ${id} of ${this.#context.instance}`,
        hint: 'Write to another engine, and archive sealed segments to this one',
      });
    const inner = await this.#call('create', id, () => this.#inner.create(id, options));
    const writer = new GuardedWriter(inner, this.#context, id, base, this.#dropWriter);
    this.#writers.add(writer);
    return await this.#orClosed(writer, () => {
      const { base: found, end, sealed } = writer.offsets();
      if (found !== base || end !== base || sealed)
        throw this.#breach(`a new segment at ${base} has base ${found}, end ${end}, sealed ${sealed}`, id);
    });
  }

  async recover(id: string, options: { readonly epoch: number }): Promise<{ readonly end: number }> {
    checkSegmentId(id);
    checkEpoch(options.epoch);
    const recovered = await this.#call('recover', id, () => this.#inner.recover(id, options));
    if (!Number.isSafeInteger(recovered?.end) || recovered.end < 0)
      throw this.#breach(`recover says end ${String(recovered?.end)}`, id);
    return recovered;
  }

  async ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    checkSegmentId(id);
    checkOffset(options.base, 'base');
    checkOffset(options.end, 'end');
    checkEpoch(options.epoch);
    checkState(options.state);
    if (options.end < options.base) throw invalid(`end ${options.end} is below base ${options.base}`);
    if (typeof options.uid !== 'string' || options.uid.length < 1 || options.uid.length > 128)
      throw invalid('A uid has 1 to 128 characters');
    const verified = new VerifiedIngest(options, this.#context.maxBatchBytes);
    let result: IngestResult;
    try {
      result = await this.#call('ingest', id, () => this.#inner.ingest(id, options, verified.pass(batches)));
    } catch (error) {
      throw verified.sourceError ?? error;
    }
    if (verified.sourceError !== undefined) throw this.#breach('ingest took a source that failed', id);
    const { expected } = verified;
    if (expected !== undefined && (result?.bytes !== expected.bytes || result.crc !== expected.crc))
      throw this.#breach(
        `ingest says ${result?.bytes} bytes, digest ${result?.crc}; it was given ${expected.bytes}, ${expected.crc}`,
        id,
      );
    if (!isCount(result?.bytes) || !isCount(result.crc))
      throw this.#breach(`ingest says ${String(result?.bytes)} bytes, digest ${String(result?.crc)}`, id);
    return result;
  }

  async openReader(id: string): Promise<SegmentReader> {
    checkSegmentId(id);
    const inner = await this.#call('open a reader', id, () => this.#inner.openReader(id));
    const reader = new GuardedReader(inner, this.#context, id, false);
    return await this.#orClosed(reader, () => {
      if (!reader.offsets().sealed) throw this.#breach('it opened a reader of a segment that is not sealed', id);
    });
  }

  async delete(id: string): Promise<void> {
    checkSegmentId(id);
    await this.#call('delete', id, () => this.#inner.delete(id));
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after, limit } = options;
    checkPrefix(prefix);
    if (after !== undefined) checkSegmentId(after);
    checkCount(limit, 'limit', MAX_LIST);
    const ids = await this.#call('list', prefix, () => this.#inner.list(options));
    if (!Array.isArray(ids) || ids.length > limit) throw this.#breach(`list gave more than ${limit} ids`, prefix);
    let last = after;
    for (const id of ids) {
      if (typeof id !== 'string' || !id.startsWith(prefix) || (last !== undefined && id <= last))
        throw this.#breach(`list gave ${String(id)} with prefix "${prefix}" after ${String(last)}`, prefix);
      last = id;
    }
    return ids;
  }

  async maintain(options: { readonly requestBudget: number; readonly signal: AbortSignal }): Promise<void> {
    if (!(options.requestBudget >= 0)) throw invalid(`${String(options.requestBudget)} is not a budget of requests`);
    await this.#call('do its housekeeping', 'all', async () => this.#inner.maintain?.(options));
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  async #closeOnce(): Promise<void> {
    this.#context.closed = true;
    try {
      await this.#inner.close();
    } catch (error) {
      throw this.#context.failure(error, 'close', this.#context.instance);
    } finally {
      await Promise.all([...this.#writers].map((writer) => writer.abandon()));
    }
  }

  async #call<T>(what: string, id: string, run: () => Promise<T>): Promise<T> {
    const where = `segment ${id} of ${this.#context.instance}`;
    if (this.#context.closed) throw new StorageError('CLOSED', 'The engine is closed', { where });
    try {
      return await run();
    } catch (error) {
      throw this.#context.failure(error, what, where);
    }
  }

  /** What was opened and can't be given out is closed again: nobody else could. */
  async #orClosed<T extends SegmentReader>(opened: T, check: () => void): Promise<T> {
    try {
      check();
      return opened;
    } catch (error) {
      await opened.close().catch(() => {});
      throw error;
    }
  }

  #breach(what: string, id: string): StorageError {
    const where = `segment ${id} of ${this.#context.instance}`;
    return this.#context.failure(this.#context.breach(what, where), 'answer', where);
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0; // a whole number, as was just checked
}
