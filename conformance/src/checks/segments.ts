import { checkBatch, nextOffset, type SegmentReader, type SegmentWriter, type StorageEngine } from '@robustmq/core';
import { type BatchOptions, batch, bodyOf } from '../batches.ts';
import type { EngineTrial } from '../check.ts';

export interface OpenOptions {
  readonly id?: string;
  readonly base?: number;
  readonly epoch?: number;
  readonly state?: Uint8Array;
}

export function open(engine: StorageEngine, options: OpenOptions = {}): Promise<SegmentWriter> {
  const { id = 's-1', base = 0, epoch = 1, state = new Uint8Array(0) } = options;
  return engine.create(id, { base, epoch, config: {}, state });
}

/** Appends batches of one record one after the other. @returns what a reader must find */
export async function fill(writer: SegmentWriter, count: number, options: BatchOptions = {}): Promise<Buffer[]> {
  const from = writer.offsets().end;
  const made = ones(count, { ...options, base: from });
  await Promise.all(made.map((bytes, i) => writer.append([bytes], { base: from + i })));
  return made.map(bodyOf);
}

/** Batches of one record, one behind the other. */
export function ones(count: number, options: BatchOptions = {}): Uint8Array[] {
  const { base = 0 } = options;
  return Array.from({ length: count }, (_, i) => batch({ tag: `f${base + i}`, ...options, base: base + i }));
}

/** Makes a segment of these batches, by appends or, where the engine takes whole segments only, by an ingest. @returns its writer, or a reader */
export async function hold(
  { engine, definition }: Pick<EngineTrial, 'engine' | 'definition'>,
  made: readonly Uint8Array[],
  options: OpenOptions = {},
): Promise<SegmentReader & Partial<Pick<SegmentWriter, 'append' | 'seal'>>> {
  const { id = 's-1', base = 0, epoch = 1, state = new Uint8Array(0) } = options;
  if (definition.capabilities.append) {
    const writer = await open(engine, options);
    const appends: Promise<unknown>[] = [];
    let next = base;
    for (const bytes of made) {
      appends.push(writer.append([bytes], { base: next }));
      next = nextOffset(checkBatch(bytes));
    }
    await Promise.all(appends);
    return writer;
  }
  const end = made.reduce((_, bytes) => nextOffset(checkBatch(bytes)), base);
  await engine.ingest(id, { base, end, epoch, state, uid: id }, chunks(...made));
  return await engine.openReader(id);
}

/** Makes a segment of these batches, and asks its writer, where there is one, and then, of the sealed one, a reader. */
export async function askOf(
  trial: Pick<EngineTrial, 'engine' | 'definition'>,
  made: readonly Uint8Array[],
  ask: (reader: SegmentReader) => Promise<void>,
  options: OpenOptions = {},
): Promise<void> {
  const first = await hold(trial, made, options);
  await ask(first);
  if (first.seal !== undefined) {
    await first.seal();
    const reader = await trial.engine.openReader(options.id ?? 's-1');
    await ask(reader);
    await reader.close();
  }
  await first.close();
}

export async function* chunks(...given: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* given;
}
