import type { IngestOptions, SegmentId, SegmentWriter, StorageEngine } from '@robustmq/core';
import type { RecordedLog } from '@robustmq/core/testing';
import { type Stored, stored } from '../batches.ts';

/** One thing that was asked of an engine. What it answered is in `end`, once it has. */
export type Act =
  | {
      readonly does: 'create';
      readonly id: SegmentId;
      readonly base: number;
      readonly epoch: number;
      readonly state: Uint8Array;
    }
  | { readonly does: 'append'; readonly id: SegmentId; readonly batches: readonly Stored[] }
  | { readonly does: 'seal'; readonly id: SegmentId; end?: number }
  | { readonly does: 'recover'; readonly id: SegmentId; readonly epoch: number; end?: number }
  | {
      readonly does: 'ingest';
      readonly id: SegmentId;
      readonly base: number;
      readonly end: number;
      readonly state: Uint8Array;
      readonly batches: readonly Stored[];
    }
  | { readonly does: 'delete'; readonly id: SegmentId };

/** What {@link Actor} puts into the recording. */
export interface ActMark {
  readonly act: number;
  readonly done: boolean;
}

/** Calls an engine, and writes down between its file operations what it was asked and when it said that it had done it. */
export class Actor {
  readonly acts: Act[] = [];
  readonly #log: RecordedLog;
  #current: StorageEngine | undefined;

  constructor(log: RecordedLog) {
    this.#log = log;
  }

  get #engine(): StorageEngine {
    if (this.#current === undefined) throw new Error('no engine is open yet');
    return this.#current;
  }

  /** Goes on with another instance on the same disk. */
  use(engine: StorageEngine): void {
    this.#current = engine;
  }

  async create(id: SegmentId, options: { base: number; epoch: number; state?: Uint8Array }): Promise<SegmentWriter> {
    const { state = Buffer.from(`state of ${id}`) } = options;
    const { base, epoch } = options;
    return await this.#act({ does: 'create', id, base, epoch, state }, () =>
      this.#engine.create(id, { base, epoch, state, config: {} }),
    );
  }

  async append(id: SegmentId, writer: SegmentWriter, batches: readonly Uint8Array[]): Promise<void> {
    const { end: base } = writer.offsets();
    await this.#act({ does: 'append', id, batches: batches.flatMap(stored) }, () => writer.append(batches, { base }));
  }

  async seal(id: SegmentId, writer: SegmentWriter): Promise<number> {
    const act: Act = { does: 'seal', id };
    return await this.#act(act, async () => {
      act.end = (await writer.seal()).end;
      return act.end;
    });
  }

  async recover(id: SegmentId, epoch: number): Promise<number> {
    const act: Act = { does: 'recover', id, epoch };
    return await this.#act(act, async () => {
      act.end = (await this.#engine.recover(id, { epoch })).end;
      return act.end;
    });
  }

  async ingest(id: SegmentId, options: Omit<IngestOptions, 'state'>, chunks: readonly Uint8Array[]): Promise<void> {
    const { base, end } = options;
    const state = Buffer.from(`state of ${id}`);
    await this.#act({ does: 'ingest', id, base, end, state, batches: chunks.flatMap(stored) }, () =>
      this.#engine.ingest(id, { ...options, state }, each(chunks)),
    );
  }

  async delete(id: SegmentId): Promise<void> {
    await this.#act({ does: 'delete', id }, () => this.#engine.delete(id));
  }

  async #act<T>(act: Act, work: () => Promise<T>): Promise<T> {
    const number = this.acts.push(act) - 1;
    this.#log.mark({ act: number, done: false });
    const result = await work();
    this.#log.mark({ act: number, done: true });
    return result;
  }
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
