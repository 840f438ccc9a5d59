import { checkBatch, forEachBatch, headerDigest } from '../batch/check.ts';
import { nextOffset } from '../batch/header.ts';
import type { IngestOptions, IngestResult } from '../engine.ts';
import { StorageError } from '../errors.ts';
import { invalid } from './arguments.ts';

/** Passes chunks on to an engine that takes a segment in, checks each batch on its way, and knows what the engine must answer. */
export class VerifiedIngest {
  readonly #options: IngestOptions;
  readonly #maxBatchBytes: number;
  #next: number;
  #bytes = 0;
  #crc = 0;
  #complete = false;
  /** What went wrong on the caller's side. */
  sourceError: unknown;

  constructor(options: IngestOptions, maxBatchBytes: number) {
    this.#options = options;
    this.#maxBatchBytes = maxBatchBytes;
    this.#next = options.base;
  }

  async *pass(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of source) {
        if (!(chunk instanceof Uint8Array)) throw invalid('A chunk of batches is bytes');
        if (chunk.length === 0) continue;
        this.#take(chunk);
        yield chunk;
      }
    } catch (error) {
      this.sourceError = error;
      throw error;
    }
    this.#complete = true;
  }

  /** Undefined unless the engine has taken every batch: again with the same uid, it need not. */
  get expected(): IngestResult | undefined {
    return this.#complete ? { bytes: this.#bytes, crc: this.#crc } : undefined;
  }

  #take(chunk: Uint8Array): void {
    forEachBatch(
      chunk,
      (header, at) => {
        if (!Number.isSafeInteger(header.baseOffset) || header.baseOffset < this.#next)
          throw new StorageError(
            'BATCH_INVALID',
            `A batch of offset ${header.baseOffset} where ${this.#next} is the lowest`,
          );
        this.#next = nextOffset(header);
        if (this.#next > this.#options.end)
          throw new StorageError(
            'BATCH_INVALID',
            `A batch up to ${this.#next}, the segment ends at ${this.#options.end}`,
          );
        if (header.bytes > this.#maxBatchBytes)
          throw new StorageError(
            'BATCH_TOO_LARGE',
            `A batch of ${header.bytes} bytes, the engine takes ${this.#maxBatchBytes}`,
          );
        this.#bytes += header.bytes;
        this.#crc = headerDigest(this.#crc, chunk, at);
      },
      checkBatch,
    );
  }
}
