import {
  type SegmentOffsets,
  type SegmentRead,
  type SegmentState,
  type SegmentWriter,
  type StorageCode,
  StorageError,
} from '@robustmq/core';
import type { DiskSpace } from '../disk-space.ts';
import type { SegmentTable } from '../segment-table.ts';
import { encodeBody } from '../wal/bodies.ts';
import type { Pending, Wal } from '../wal/wal.ts';
import type { WriteBack } from '../write-back.ts';
import { nextOffsetAt } from './batch-fields.ts';
import type { OpenSegment } from './open-segment.ts';
import { aborted } from './segment-reader.ts';

export interface WriterServices {
  readonly wal: Wal;
  readonly writeBack: WriteBack;
  readonly space: DiskSpace;
  readonly table: SegmentTable;
  state(segment: OpenSegment): Promise<SegmentState>;
}

/** The one that writes a segment. Every path of an append that is refused leaves nothing behind. */
export class LocalFileWriter implements SegmentWriter {
  readonly #segment: OpenSegment;
  readonly #services: WriterServices;
  #sealing: Promise<{ readonly end: number }> | undefined;
  #closed = false;
  /** It has waited for room, and was told that there is some. */
  #promised = false;

  constructor(segment: OpenSegment, services: WriterServices) {
    this.#segment = segment;
    this.#services = services;
  }

  append(
    batches: readonly Uint8Array[],
    options: { readonly base: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly next: number }> {
    const segment = this.#segment;
    const { wal, writeBack, space } = this.#services;
    const { base, signal } = options;
    let bytes = 0;
    let next = base;
    for (const batch of batches) {
      bytes += batch.length;
      next = nextOffsetAt(batch, 0);
    }
    if (segment.failure !== undefined || this.#sealing !== undefined || this.#closed || wal.dead !== undefined)
      return Promise.reject(this.#refusal());
    if (signal?.aborted === true)
      return Promise.reject(this.#error('ABORTED', 'The append was given up before it began'));
    if (base !== segment.dispatched)
      return Promise.reject(this.#error('OFFSET_MISMATCH', `Base ${base}, the end is ${segment.dispatched}`));
    // what the log has settled meanwhile is no reason to break a promise: the ring bounds what comes on top
    if (!wal.hasRoom(bytes) || (writeBack.full && !this.#promised))
      return Promise.reject(this.#error('BACKPRESSURE', `No credit for ${bytes} bytes: wait for ready()`));
    if (!space.admit(bytes))
      return Promise.reject(
        this.#error('DISK_FULL', 'The disk is full', 'Free some space: appends go on by themselves'),
      );
    const appended = new Promise<{ readonly next: number }>((resolve, reject) => {
      const pending = new PendingAppend(segment, this.#services, batches, next, resolve, reject);
      wal.append(segment.number, segment.epoch, base, next - base, batches, bytes, pending);
    });
    segment.dispatched = next;
    this.#promised = false;
    return signal === undefined ? appended : this.#untilAborted(appended, signal);
  }

  ready(bytes: number): Promise<void> | undefined {
    const { wal, writeBack } = this.#services;
    if (this.#segment.failure !== undefined || this.#sealing !== undefined || this.#closed || wal.dead !== undefined)
      return Promise.reject(this.#refusal());
    // told once that there is room, it need not queue behind those who came later
    if (this.#promised && wal.hasRoom(bytes)) return undefined;
    const full = writeBack.room();
    const room = full === undefined ? wal.room(bytes) : undefined;
    return full === undefined && room === undefined ? undefined : this.#whenReady(full, room, bytes);
  }

  async flush(): Promise<void> {
    if (this.#segment.dispatched > this.#segment.log.end) await this.#services.wal.settledSoFar();
  }

  seal(): Promise<{ readonly end: number }> {
    this.#sealing ??= this.#seal();
    return this.#sealing;
  }

  offsets(): SegmentOffsets {
    const { base, log, dispatched, sealed } = this.#segment;
    return { base, committed: log.end, end: dispatched, sealed };
  }

  state(): Promise<SegmentState> {
    return this.#services.state(this.#segment);
  }

  read(from: number, options: { readonly maxBytes: number; readonly signal?: AbortSignal }): Promise<SegmentRead> {
    if (options.signal?.aborted === true) return Promise.reject(aborted(this.#segment.log));
    return this.#segment.log.read(from, options.maxBytes);
  }

  offsetForTimestamp(timestamp: number): Promise<number | undefined> {
    return this.#segment.log.offsetForTimestamp(timestamp);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #seal(): Promise<{ readonly end: number }> {
    const segment = this.#segment;
    if (segment.sealed) return { end: segment.log.end };
    if (segment.failure !== undefined || this.#closed || this.#services.wal.dead !== undefined) throw this.#refusal();
    const end = segment.dispatched;
    try {
      await sealInLog(segment, this.#services, segment.epoch, end);
      return { end };
    } catch (error) {
      if (error instanceof StorageError) segment.fail(error);
      throw error;
    }
  }

  async #whenReady(full: Promise<void> | undefined, room: Promise<void> | undefined, bytes: number): Promise<void> {
    await full;
    await (room ?? this.#services.wal.room(bytes));
    if (this.#segment.failure !== undefined) throw this.#refusal();
    this.#promised = true;
  }

  #untilAborted<T>(settled: Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = (): void =>
        reject(
          new StorageError('ABORTED', 'The wait was given up; the append may be applied', {
            where: `segment ${this.#segment.id}`,
            outcome: 'unknown',
          }),
        );
      signal.addEventListener('abort', stop, { once: true });
      settled.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  #refusal(): StorageError {
    const { failure } = this.#segment;
    if (failure?.code === 'FENCED') return failure;
    if (failure !== undefined)
      return new StorageError('WRITER_FAILED', 'The writer has failed', {
        where: `segment ${this.#segment.id}`,
        outcome: 'none',
        hint: 'Recover the segment and go on in a new one',
        cause: failure,
      });
    if (this.#services.wal.dead !== undefined)
      return new StorageError('WRITER_FAILED', 'The write-ahead log cannot be written', {
        where: `segment ${this.#segment.id}`,
        outcome: 'none',
        cause: this.#services.wal.dead,
      });
    if (this.#sealing !== undefined) return this.#error('SEGMENT_SEALED', 'The segment is sealed');
    return this.#error('CLOSED', 'The writer is closed');
  }

  #error(code: StorageCode, message: string, hint?: string): StorageError {
    return new StorageError(code, message, {
      where: `segment ${this.#segment.id}`,
      outcome: 'none',
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Seals at `end`, behind everything that is on its way. */
export async function sealInLog(
  segment: OpenSegment,
  services: Pick<WriterServices, 'wal' | 'table'>,
  epoch: number,
  end: number,
): Promise<void> {
  const fields = { number: segment.number, epoch, offset: end };
  await services.wal.write('seal', fields, encodeBody(segment.nonce, segment.id), () => {
    segment.sealed = true;
    services.table.touch(segment);
  });
}

class PendingAppend implements Pending {
  end = 0;
  readonly #segment: OpenSegment;
  readonly #services: WriterServices;
  readonly #batches: readonly Uint8Array[];
  readonly #next: number;
  readonly #resolve: (appended: { readonly next: number }) => void;
  readonly #reject: (error: StorageError) => void;

  constructor(
    segment: OpenSegment,
    services: WriterServices,
    batches: readonly Uint8Array[],
    next: number,
    resolve: (appended: { readonly next: number }) => void,
    reject: (error: StorageError) => void,
  ) {
    this.#segment = segment;
    this.#services = services;
    this.#batches = batches;
    this.#next = next;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  durable(): void {
    const segment = this.#segment;
    // one that is gone or has failed meanwhile: core asks recover what was applied
    if (segment.deleted) {
      this.#reject(segment.failure ?? fenced(segment, 'deleted'));
      return;
    }
    segment.log.commit(this.#batches, this.#next);
    if (segment.dispatched < this.#next) segment.dispatched = this.#next;
    this.#services.table.touch(segment);
    this.#services.writeBack.committed(segment);
    if (segment.failure === undefined || segment.failure.code === 'FENCED') this.#resolve({ next: this.#next });
    else this.#reject(segment.failure);
  }

  failed(error: StorageError): void {
    this.#segment.fail(error);
    this.#reject(error);
  }
}

export function fenced(segment: OpenSegment, by: string): StorageError {
  return new StorageError('FENCED', `The segment was ${by}`, {
    where: `segment ${segment.id}`,
    hint: 'Another owner has it, or it was closed by retention: ask for the shard again',
  });
}
