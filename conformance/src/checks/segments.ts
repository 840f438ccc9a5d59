import type { SegmentWriter, StorageEngine } from '@robustmq/core';
import { type BatchOptions, batch, bodyOf } from '../batches.ts';

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
  const made = Array.from({ length: count }, (_, i) => batch({ tag: `f${from + i}`, ...options, base: from + i }));
  await Promise.all(made.map((bytes, i) => writer.append([bytes], { base: from + i })));
  return made.map(bodyOf);
}

export async function* chunks(...given: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* given;
}
