import { StorageError } from '@robustmq/core';
import type { LogFile } from '../wal/log-reads.ts';

/** What one file of the log holds of a segment. The numbers of a piece lie in two arrays: a log may hold millions of pieces. */
interface Run {
  readonly file: LogFile;
  /** In the segment's file, ascending without a gap. */
  readonly positions: number[];
  /** In the file of the log. */
  readonly places: number[];
  end: number;
}

/** Pieces that lie no further apart are read at once, with what is in between: cheaper than a call each. */
const GAP_BYTES = 16 * 1024;
/** So much is read at once to gather pieces from it. */
const SPAN_BYTES = 256 * 1024;

/** A part of a segment that lies in files of the write-ahead log: where each piece of it is. */
export class Extents {
  #runs: Run[] = [];
  #end: number;

  constructor(start: number) {
    this.#end = start;
  }

  get end(): number {
    return this.#end;
  }

  /** The next `length` bytes of the segment lie at `place` of `file`. */
  add(file: LogFile, place: number, length: number): void {
    let run = this.#runs[this.#runs.length - 1];
    if (run?.file !== file) {
      file.hold();
      run = { file, positions: [], places: [], end: this.#end };
      this.#runs.push(run);
    }
    run.positions.push(this.#end);
    run.places.push(place);
    this.#end += length;
    run.end = this.#end;
  }

  /** Nothing in front of `position` will be asked for again. */
  passed(position: number): void {
    for (let first = this.#runs[0]; first !== undefined && first.end <= position; first = this.#runs[0]) {
      first.file.release();
      this.#runs.shift();
    }
  }

  clear(): void {
    this.passed(this.#end);
  }

  /** Copies [position, position + length), which lies in here, to `into`. */
  async read(into: Uint8Array, intoOffset: number, position: number, length: number): Promise<void> {
    const end = position + length;
    // those that are let go of meanwhile are read to the end all the same: it is for the caller to look again
    for (const run of this.#runs.filter((one) => one.end > position && (one.positions[0] ?? end) < end))
      await readRun(run, into, intoOffset, position, Math.min(end, run.end));
  }
}

/** Copies what the run has of [from, to), where `into` at `intoOffset` stands for `from`. */
async function readRun(run: Run, into: Uint8Array, intoOffset: number, from: number, to: number): Promise<void> {
  const { file, positions, places } = run;
  // of a piece that is none: `to`
  const startOf = (piece: number): number => Math.max(from, positions[piece] ?? to);
  const endOf = (piece: number): number => Math.min(to, positions[piece + 1] ?? run.end);
  const placeOf = (piece: number): number => (places[piece] ?? 0) + startOf(piece) - (positions[piece] ?? 0);
  let span: Buffer | undefined;
  for (let piece = pieceAt(positions, from); startOf(piece) < to; ) {
    const place = placeOf(piece);
    let last = piece;
    let until = place + endOf(piece) - startOf(piece);
    while (startOf(last + 1) < to) {
      const next = placeOf(last + 1);
      const nextUntil = next + endOf(last + 1) - startOf(last + 1);
      if (next < until || next - until > GAP_BYTES || nextUntil - place > SPAN_BYTES) break;
      until = nextUntil;
      last++;
    }
    if (last === piece) await readWhole(file, into, intoOffset + startOf(piece) - from, until - place, place);
    else {
      span ??= Buffer.allocUnsafe(SPAN_BYTES);
      await readWhole(file, span, 0, until - place, place);
      for (let one = piece; one <= last; one++) {
        const at = placeOf(one) - place;
        into.set(span.subarray(at, at + endOf(one) - startOf(one)), intoOffset + startOf(one) - from);
      }
    }
    piece = last + 1;
  }
}

async function readWhole(
  file: LogFile,
  into: Uint8Array,
  intoOffset: number,
  length: number,
  place: number,
): Promise<void> {
  if ((await file.read(into, intoOffset, length, place)) === length) return;
  throw new StorageError('CORRUPT', `The file of the write-ahead log ends before byte ${place + length}`, {
    where: file.path,
    hint: 'It was whole when the engine was opened: somebody has cut it. Put it back',
  });
}

/** Which piece holds the byte at `position`. */
function pieceAt(positions: readonly number[], position: number): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((positions[middle] ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
