import { KafkaProtocolError } from './errors.ts';

/** Size, API key, API version, correlation id: no request is shorter than what follows the size. */
export const MIN_REQUEST_BYTES = 8;

/** A larger request has to show this much of itself before room is made for the rest: a claim alone gets nothing. */
export const SHOWN_BYTES = 65_536;

/**
 * Cuts the byte stream of a connection into frames: `int32 size, size bytes`. A frame that lies in one chunk is a view of
 * it; one that spans chunks is copied once, into a buffer of its size.
 */
export class Frames {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #available = 0;
  /** Of the frame whose size is known, and for which there was room. */
  #size: number | undefined;
  #admitted = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#available += chunk.length;
  }

  /** True while part of a frame, or of its size, is here and the rest is not. */
  get partial(): boolean {
    return this.#available > 0 || this.#size !== undefined;
  }

  /** Bytes that are here and not taken. */
  get availableBytes(): number {
    return this.#available;
  }

  /** Bytes of the frame whose size is known. */
  get expectedBytes(): number {
    return this.#size ?? 0;
  }

  /**
   * The next frame without its size. `admit` is asked for room for it once it is here, or its first {@link SHOWN_BYTES}, until it says yes.
   * @returns `more` when bytes are missing, `full` when `admit` has refused.
   * @throws KAFKA_FRAME_INVALID
   */
  next(admit: (bytes: number, apiKey: number) => boolean): Buffer | 'more' | 'full' {
    if (this.#size === undefined) {
      if (this.#available < 4) return 'more';
      this.#size = this.#check(this.#take(4).readInt32BE());
    }
    if (!this.#admitted) {
      if (this.#available < Math.min(this.#size, SHOWN_BYTES)) return 'more';
      if (!admit(this.#size, this.#peekInt16())) return 'full';
      this.#admitted = true;
    }
    if (this.#available < this.#size) return 'more';
    const frame = this.#take(this.#size);
    this.#size = undefined;
    this.#admitted = false;
    return frame;
  }

  /** Two bytes are there; they stay. */
  #peekInt16(): number {
    const [head, next] = this.#chunks;
    if (head === undefined) return 0;
    return head.length >= 2 || next === undefined ? head.readInt16BE() : ((head[0] ?? 0) << 8) | (next[0] ?? 0);
  }

  #check(size: number): number {
    if (size >= MIN_REQUEST_BYTES && size <= this.#maxBytes) return size;
    throw new KafkaProtocolError(
      'KAFKA_FRAME_INVALID',
      size > this.#maxBytes
        ? `a request of ${size} bytes, the limit is ${this.#maxBytes}`
        : `a request of ${size} bytes, none is shorter than ${MIN_REQUEST_BYTES}`,
      { hint: 'Raise maxRequestBytes if this was a client with large batches; otherwise it does not speak Kafka' },
    );
  }

  #take(length: number): Buffer {
    this.#available -= length;
    const head = this.#chunks[0];
    if (head !== undefined && head.length >= length) {
      if (head.length === length) this.#chunks.shift();
      else this.#chunks[0] = head.subarray(length);
      return head.subarray(0, length);
    }
    const joined = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    let used = 0;
    for (const chunk of this.#chunks) {
      const taken = Math.min(chunk.length, length - filled);
      chunk.copy(joined, filled, 0, taken);
      filled += taken;
      if (taken < chunk.length) {
        this.#chunks[used] = chunk.subarray(taken);
        break;
      }
      used++;
      if (filled === length) break;
    }
    this.#chunks.splice(0, used);
    return joined;
  }
}
