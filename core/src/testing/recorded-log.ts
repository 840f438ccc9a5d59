/**
 * What was done to files, in one order over all threads: each call has its begin (with the bytes it writes) and its end, and whoever
 * runs the work puts marks of its own between them. Bounded, in shared memory, so that a worker's file system writes into the same log.
 */
export class RecordedLog {
  readonly shared: SharedLog;
  readonly #counters: Int32Array;
  readonly #ints: Int32Array;
  readonly #bytes: Uint8Array;

  /** @param firstOp number of the first call: for one that goes on where another log was cut off */
  constructor(shared?: SharedLog, firstOp = 0) {
    this.shared = shared ?? {
      counters: new SharedArrayBuffer(COUNTERS * 4),
      // no memory until it is written to
      entries: new SharedArrayBuffer(LIMIT_BYTES),
    };
    this.#counters = new Int32Array(this.shared.counters);
    this.#ints = new Int32Array(this.shared.entries);
    this.#bytes = new Uint8Array(this.shared.entries);
    if (shared === undefined) Atomics.store(this.#counters, NEXT_OP, firstOp);
  }

  /** @returns the number of the call, which names the file from then on when it opens one */
  begin(call: RecordedCall, pieces: readonly Uint8Array[] = []): number {
    const op = Atomics.add(this.#counters, NEXT_OP, 1);
    const zeros = pieces.length > 0 && pieces.every(isZero);
    this.#put({ kind: 'begin', op, call }, zeros ? [] : pieces);
    return op;
  }

  end(op: number, failed: boolean): void {
    this.#put({ kind: 'end', op, failed }, []);
  }

  mark(mark: unknown): void {
    this.#put({ kind: 'mark', mark }, []);
  }

  /** All that was recorded until now. @throws when there was more than fits */
  events(): RecordedEvent[] {
    if (Atomics.load(this.#counters, OVERFLOWED) !== 0)
      throw new Error(`more than ${LIMIT_BYTES} bytes of file operations: too many to be recorded`);
    const events: RecordedEvent[] = [];
    const end = Atomics.load(this.#counters, CURSOR);
    for (let at = 0; at < end; ) {
      // a thread that is between taking its place and filling it
      if (Atomics.load(this.#ints, at / 4) !== READY) break;
      const textBytes = this.#ints[at / 4 + 1] ?? 0;
      const dataBytes = this.#ints[at / 4 + 2] ?? 0;
      const text = Buffer.from(this.#bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + textBytes)).toString();
      const from = at + HEAD_BYTES + textBytes;
      // as put below
      const event = JSON.parse(text) as RecordedEvent;
      events.push(event.kind === 'begin' ? { ...event, bytes: this.#bytes.subarray(from, from + dataBytes) } : event);
      at += entryBytes(textBytes, dataBytes);
    }
    return events;
  }

  #put(entry: object, pieces: readonly Uint8Array[]): void {
    const text = Buffer.from(JSON.stringify(entry));
    const dataBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const size = entryBytes(text.length, dataBytes);
    const at = Atomics.load(this.#counters, OVERFLOWED) === 0 ? Atomics.add(this.#counters, CURSOR, size) : LIMIT_BYTES;
    if (at + size > LIMIT_BYTES) {
      Atomics.store(this.#counters, OVERFLOWED, 1);
      return;
    }
    this.#ints[at / 4 + 1] = text.length;
    this.#ints[at / 4 + 2] = dataBytes;
    this.#bytes.set(text, at + HEAD_BYTES);
    let to = at + HEAD_BYTES + text.length;
    for (const piece of pieces) {
      this.#bytes.set(piece, to);
      to += piece.length;
    }
    Atomics.store(this.#ints, at / 4, READY);
  }
}

/** A call that may change what lies on the disk. `file` is the number of the call that opened it. */
export type RecordedCall =
  | { readonly does: 'open'; readonly path: string; readonly flags: string }
  /** `length` bytes; all of them zeros when the event has none. `synced`: durable when it has returned. */
  | {
      readonly does: 'write';
      readonly file: number;
      readonly position: number;
      readonly length: number;
      readonly synced: boolean;
    }
  | { readonly does: 'datasync'; readonly file: number }
  | { readonly does: 'truncate'; readonly file: number; readonly length: number }
  | { readonly does: 'rename'; readonly from: string; readonly to: string }
  | { readonly does: 'unlink'; readonly path: string }
  | { readonly does: 'mkdir'; readonly path: string }
  | { readonly does: 'syncDirectory'; readonly path: string };

export type RecordedEvent =
  | { readonly kind: 'begin'; readonly op: number; readonly call: RecordedCall; readonly bytes?: Uint8Array }
  | { readonly kind: 'end'; readonly op: number; readonly failed: boolean }
  | { readonly kind: 'mark'; readonly mark: unknown };

/** What crosses to a worker. */
export interface SharedLog {
  readonly counters: SharedArrayBuffer;
  readonly entries: SharedArrayBuffer;
}

const LIMIT_BYTES = 64 * 1024 * 1024;
const COUNTERS = 3;
const CURSOR = 0;
const NEXT_OP = 1;
const OVERFLOWED = 2;
/** State, bytes of text, bytes of data. */
const HEAD_BYTES = 12;
const READY = 1;

function entryBytes(textBytes: number, dataBytes: number): number {
  return (HEAD_BYTES + textBytes + dataBytes + 3) & ~3;
}

const ZEROS = Buffer.alloc(64 * 1024);

/** Files that are zeroed ahead would fill the log. */
function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, bytes.length - at);
    if (ZEROS.compare(bytes, at, at + length, 0, length) !== 0) return false;
  }
  return true;
}
