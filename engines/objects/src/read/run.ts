/** Bytes of an object that lie in memory in a row, in one buffer or in the chunks they were sent from. Never written again. */
export class Run {
  /** Tells one run from another that holds the same bytes, or others that were at that place before. */
  readonly serial: number;
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly #chunks: readonly Uint8Array[];
  /** Where each chunk begins in the object. */
  readonly #starts: readonly number[];

  constructor(serial: number, key: string, from: number, chunks: readonly Uint8Array[]) {
    this.serial = serial;
    this.key = key;
    this.from = from;
    this.#chunks = chunks;
    const starts: number[] = [];
    let at = from;
    for (const chunk of chunks) {
      starts.push(at);
      at += chunk.length;
    }
    this.#starts = starts;
    this.to = at;
  }

  get bytes(): number {
    return this.to - this.from;
  }

  /** Adds views of [from, to), which lies in here. */
  addViews(from: number, to: number, views: View[]): void {
    for (let i = this.#chunkAt(from); i < this.#chunks.length && (this.#starts[i] ?? to) < to; i++) {
      const start = this.#starts[i] ?? 0;
      const chunk = this.#chunks[i];
      if (chunk === undefined) break;
      const bytes = chunk.subarray(Math.max(0, from - start), Math.min(chunk.length, to - start));
      if (bytes.length > 0) views.push({ bytes, serial: this.serial });
    }
  }

  #chunkAt(position: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** A part of what was asked for. */
export interface View {
  readonly bytes: Uint8Array;
  /** Of the {@link Run} it belongs to. */
  readonly serial: number;
}

/** The bytes of views in a row; not copied when there is one. */
export function joinViews(views: readonly View[]): Uint8Array {
  const [first] = views;
  return views.length === 1 && first !== undefined ? first.bytes : Buffer.concat(views.map(({ bytes }) => bytes));
}
