import { StorageError } from '../errors.ts';
import { checkShape } from './check.ts';
import { decompressAside } from './codec/aside.ts';
import { decompress, MAX_DECOMPRESSED_BYTES } from './codec/codec.ts';
import { BATCH_HEADER_BYTES, type BatchHeader, type Codec, codecOf, isLogAppendTime } from './header.ts';
import type { RecordHeader } from './records.ts';
import { VarintReader } from './varint.ts';

const NO_BYTES = new Uint8Array(0);
const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * Walks the records of a batch in order. Stands on no record until `next()` has said true; a record is checked whole before it is
 * shown, and the batch, its count and its last byte, before `next()` says false. Costs nothing a record but the views asked for.
 *
 *     length varint | attributes int8 | timestampDelta varlong | offsetDelta varint | keyLength varint (-1: null) | key
 *       | valueLength varint (-1: null) | value | headerCount varint | { keyLength varint | key | valueLength varint (-1: null) | value }*
 */
export class RecordCursor {
  readonly header: BatchHeader;
  /** The plain records: the batch's own bytes, or what they were decompressed to. */
  readonly bytes: Uint8Array;
  offset = -1;
  timestamp = -1;
  /** Where the record begins (its length) and ends in `bytes`. */
  start = 0;
  end = 0;
  /** Where its attributes begin, and where what follows its timestamp does. */
  attributesAt = 0;
  offsetDeltaAt = 0;
  readonly #appendTime: boolean;
  readonly #reader: VarintReader;
  #seen = 0;
  #lastDelta = -1;
  #keyAt = 0;
  #keyLength = -1;
  #valueAt = 0;
  #valueLength = -1;
  #headersAt = 0;
  #headerCount = 0;

  /** @throws BATCH_INVALID, also when the records are larger than `maxDecompressedBytes`. */
  constructor(
    batch: Uint8Array,
    at = 0,
    maxDecompressedBytes: number = MAX_DECOMPRESSED_BYTES,
    unpack: (codec: Codec, stored: Uint8Array, maxBytes: number) => Uint8Array = decompress,
  ) {
    const header = checkShape(batch, at);
    const stored = batch.subarray(at + BATCH_HEADER_BYTES, at + header.bytes);
    this.header = header;
    this.bytes = unpack(packedWith(header, stored), stored, maxDecompressedBytes);
    this.#appendTime = isLogAppendTime(header);
    this.#reader = new VarintReader(this.bytes, 0, this.bytes.length, (what) => this.#invalid(what));
  }

  /** As the constructor; a slow codec does not hold up the event loop. @throws BATCH_INVALID */
  static async open(batch: Uint8Array, at: number, maxDecompressedBytes: number): Promise<RecordCursor> {
    const header = checkShape(batch, at);
    const stored = batch.subarray(at + BATCH_HEADER_BYTES, at + header.bytes);
    const plain = await decompressAside(packedWith(header, stored), stored, maxDecompressedBytes);
    return new RecordCursor(batch, at, maxDecompressedBytes, () => plain);
  }

  /** Moves on to the next record, if there is one. @throws BATCH_INVALID */
  next(): boolean {
    const reader = this.#reader;
    if (this.#seen === this.header.recordCount) {
      if (this.end !== this.bytes.length)
        throw this.#invalid(`${this.bytes.length - this.end} bytes behind the last record`);
      return false;
    }
    this.start = this.end;
    reader.at = this.start;
    const length = reader.int32();
    // attributes, two deltas, two lengths and a count are 6 bytes at least
    if (length < 6 || length > this.bytes.length - reader.at) throw this.#invalid(`a length of ${length}`);
    this.end = reader.at + length;
    this.attributesAt = reader.at++; // none are in use
    const timestampDelta = reader.int64();
    this.offsetDeltaAt = reader.at;
    this.timestamp = this.#appendTime ? this.header.maxTimestamp : this.header.baseTimestamp + timestampDelta;
    const offsetDelta = reader.int32();
    if (offsetDelta <= this.#lastDelta || offsetDelta > this.header.lastOffsetDelta)
      throw this.#invalid(`an offset delta of ${offsetDelta} behind ${this.#lastDelta}`);
    this.#lastDelta = offsetDelta;
    this.offset = this.header.baseOffset + offsetDelta;
    this.#keyLength = this.#length();
    this.#keyAt = reader.at;
    reader.at += Math.max(0, this.#keyLength);
    this.#valueLength = this.#length();
    this.#valueAt = reader.at;
    reader.at += Math.max(0, this.#valueLength);
    this.#skipHeaders();
    if (reader.at !== this.end) throw this.#invalid('not as long as it says');
    this.#seen++;
    return true;
  }

  /** Back to before the first record. */
  rewind(): void {
    this.#seen = 0;
    this.#lastDelta = -1;
    this.end = 0;
  }

  get hasKey(): boolean {
    return this.#keyLength >= 0;
  }

  /** True for a record without a value: the mark of a deleted key. */
  get isTombstone(): boolean {
    return this.#valueLength < 0;
  }

  get key(): Uint8Array | null {
    return this.#view(this.#keyAt, this.#keyLength);
  }

  get value(): Uint8Array | null {
    return this.#view(this.#valueAt, this.#valueLength);
  }

  headers(): readonly RecordHeader[] {
    if (this.#headerCount === 0) return NO_HEADERS;
    const reader = this.#reader;
    reader.at = this.#headersAt;
    const headers: RecordHeader[] = [];
    for (let i = 0; i < this.#headerCount; i++) {
      const key = Buffer.from(this.#take(this.#length()) ?? NO_BYTES).toString();
      headers.push({ key, value: this.#take(this.#length()) });
    }
    return headers;
  }

  #skipHeaders(): void {
    const reader = this.#reader;
    const count = reader.int32();
    // each is two lengths at least: a lying count can't make this loop long
    if (count < 0 || count * 2 > this.end - reader.at) throw this.#invalid(`${count} headers`);
    this.#headersAt = reader.at;
    this.#headerCount = count;
    for (let i = 0; i < count; i++) {
      const keyLength = this.#length();
      if (keyLength < 0) throw this.#invalid('a header without a key');
      reader.at += keyLength;
      const valueLength = this.#length();
      reader.at += Math.max(0, valueLength);
    }
  }

  /** A length that lies inside the record; -1 stands for null. */
  #length(): number {
    const length = this.#reader.int32();
    if (length < -1 || length > this.end - this.#reader.at) throw this.#invalid(`a field of ${length} bytes`);
    return length;
  }

  #take(length: number): Uint8Array | null {
    const view = this.#view(this.#reader.at, length);
    this.#reader.at += Math.max(0, length);
    return view;
  }

  #view(at: number, length: number): Uint8Array | null {
    return length < 0 ? null : this.bytes.subarray(at, at + length);
  }

  #invalid(what: string): StorageError {
    return new StorageError(
      'BATCH_INVALID',
      `record ${this.#seen} of ${this.header.recordCount} in the batch at offset ${this.header.baseOffset}: ${what}`,
    );
  }
}

/** An emptied batch (compaction) has no records to decompress, whatever codec it had. */
function packedWith(header: BatchHeader, stored: Uint8Array): Codec {
  if (header.recordCount === 0 && stored.length === 0) return 'none';
  return codecOf(header) ?? 'none';
}
