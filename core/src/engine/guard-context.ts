import { isStorageError, type StorageCode, StorageError } from '../errors.ts';
import type { Clock, Counter, Histogram, Metrics } from '../world.ts';

export interface GuardOptions {
  /** The instance's name: label of its metrics, and part of its messages. */
  readonly instance: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** What all guarded parts of one engine instance share: its name, its measures, and how its failures become errors. */
export class GuardContext {
  readonly instance: string;
  readonly clock: Clock;
  readonly maxBatchBytes: number;
  /** All batches of one append: what every engine's window has room for. */
  readonly maxAppendBytes: number;
  readonly appendSeconds: Histogram;
  readonly appendBytes: Counter;
  readonly readBytes: Counter;
  readonly #metrics: Metrics;
  readonly #errors = new Map<StorageCode, Counter>();
  inFlightBytes = 0;
  openWriters = 0;
  closed = false;

  constructor(options: GuardOptions, maxBatchBytes: number) {
    const { instance, metrics } = options;
    const labels = { instance };
    this.instance = instance;
    this.clock = options.clock;
    this.maxBatchBytes = maxBatchBytes;
    this.maxAppendBytes = 2 * maxBatchBytes;
    this.#metrics = metrics;
    this.appendSeconds = metrics.histogram(
      'robust_engine_append_seconds',
      'Time from the call of an append to its acknowledgement by the engine',
      SECONDS,
      labels,
    );
    this.appendBytes = metrics.counter('robust_engine_append_bytes_total', 'Bytes of acknowledged appends', labels);
    this.readBytes = metrics.counter('robust_engine_read_bytes_total', 'Bytes read from segments', labels);
    metrics.gauge(
      'robust_engine_in_flight_bytes',
      'Bytes of appends that have not settled',
      () => this.inFlightBytes,
      labels,
    );
    metrics.gauge('robust_engine_open_writers', 'Segments open for writing', () => this.openWriters, labels);
  }

  /** A failure of the engine as a typed error; one that it typed itself stays what it is. Counted. */
  failure(error: unknown, what: string, where: string, code: 'IO_ERROR' | 'WRITER_FAILED' = 'IO_ERROR'): StorageError {
    const typed = isStorageError(error)
      ? error
      : new StorageError(hasErrno(error) ? 'IO_ERROR' : code, `Engine instance ${this.instance} failed to ${what}`, {
          where,
          cause: error,
          hint: error instanceof Error ? `It said: ${error.message}` : `It threw ${String(error)}`,
        });
    this.count(typed.code);
    return typed;
  }

  /** The engine gave an answer that its contract rules out: nothing it says about this segment can be relied upon. */
  breach(what: string, where: string, code: 'IO_ERROR' | 'WRITER_FAILED' | 'CORRUPT' = 'IO_ERROR'): StorageError {
    return new StorageError(code, `Engine instance ${this.instance} broke its contract: ${what}`, {
      where,
      hint: 'This is a fault of the engine: report it to its author, who can prove a fix with the conformance suite',
    });
  }

  count(code: StorageCode): void {
    let counter = this.#errors.get(code);
    if (counter === undefined) {
      const labels = { instance: this.instance, code };
      counter = this.#metrics.counter(
        'robust_engine_errors_total',
        'Failed calls of the engine, by error code',
        labels,
      );
      this.#errors.set(code, counter);
    }
    counter.value++;
  }
}

function hasErrno(error: unknown): boolean {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).errno === 'number';
}
