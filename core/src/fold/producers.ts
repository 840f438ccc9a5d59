/**
 * The fold of idempotent producers: what each one has appended, so that a batch that is sent again is not appended again. A function of the
 * log alone, so it survives failover, tiering and compaction. Rules as in Kafka's producer state (KIP-98, KIP-360): the last five batches of
 * a producer are remembered; sequences count records, per producer and epoch, and wrap at 2^31.
 */
import type { BatchHeader } from '../batch/header.ts';
import { nextOffset } from '../batch/header.ts';
import { StorageError } from '../errors.ts';

export const REMEMBERED_BATCHES = 5;
/** Producers of one shard; beyond that the longest idle ones are forgotten. Bounds the encoded state to about 600 KB. */
export const MAX_PRODUCERS = 5000;
/** A producer that has been silent for this long is forgotten. */
export const PRODUCER_IDLE_MS: number = 24 * 60 * 60 * 1000;

export interface RememberedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly base: number;
  readonly next: number;
}

interface Producer {
  epoch: number;
  /** Oldest first. */
  batches: RememberedBatch[];
  /** Wall time of the append, or of the recovery in which the log was folded again. */
  lastSeen: number;
}

export type SequenceVerdict =
  | { readonly kind: 'new' }
  | { readonly kind: 'duplicate'; readonly base: number; readonly next: number };

const NEW: SequenceVerdict = { kind: 'new' };

export class Producers {
  readonly #producers = new Map<number, Producer>();

  get size(): number {
    return this.#producers.size;
  }

  /** @throws SEQUENCE_GAP, PRODUCER_FENCED */
  check(header: BatchHeader): SequenceVerdict {
    const known = this.#producers.get(header.producerId);
    if (known === undefined) return NEW; // forgotten or never seen: nothing to compare with (KIP-360)
    if (header.producerEpoch > known.epoch) return startsAtZero(header);
    if (header.producerEpoch < known.epoch) throw fenced(header, known.epoch);
    return judge(header, known.batches);
  }

  apply(header: BatchHeader, now: number): void {
    if (header.producerId < 0) return;
    const { producerId, producerEpoch } = header;
    let producer = this.#producers.get(producerId);
    if (producer === undefined || producer.epoch !== producerEpoch) {
      producer = { epoch: producerEpoch, batches: [], lastSeen: now };
    }
    this.#producers.delete(producerId); // to the end: the map is in order of last use
    this.#producers.set(producerId, producer);
    producer.lastSeen = now;
    producer.batches.push(remember(header));
    if (producer.batches.length > REMEMBERED_BATCHES) producer.batches.shift();
    if (this.#producers.size > MAX_PRODUCERS) {
      const idlest = this.#producers.keys().next().value;
      if (idlest !== undefined) this.#producers.delete(idlest);
    }
  }

  expire(now: number): void {
    for (const [id, producer] of this.#producers) {
      if (producer.lastSeen > now - PRODUCER_IDLE_MS) break;
      this.#producers.delete(id);
    }
  }

  /** count u32, then per producer: id i64, epoch i16, last seen i64, batches u8, and per batch first i32, last i32, base i64, next i64. */
  encode(): Uint8Array {
    let batches = 0;
    for (const producer of this.#producers.values()) batches += producer.batches.length;
    const bytes = Buffer.alloc(4 + this.#producers.size * 19 + batches * 24);
    let at = bytes.writeUInt32BE(this.#producers.size, 0);
    for (const [id, producer] of this.#producers) {
      at = bytes.writeBigInt64BE(BigInt(id), at);
      at = bytes.writeInt16BE(producer.epoch, at);
      at = bytes.writeBigInt64BE(BigInt(Math.floor(producer.lastSeen)), at);
      at = bytes.writeUInt8(producer.batches.length, at);
      for (const batch of producer.batches) {
        at = bytes.writeInt32BE(batch.firstSequence, at);
        at = bytes.writeInt32BE(batch.lastSequence, at);
        at = bytes.writeBigInt64BE(BigInt(batch.base), at);
        at = bytes.writeBigInt64BE(BigInt(batch.next), at);
      }
    }
    return bytes;
  }

  /** @throws RangeError on bytes that {@link encode} did not make; the caller turns it into CORRUPT. */
  static decode(encoded: Uint8Array): Producers {
    const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    const producers = new Producers();
    let at = 4;
    for (let left = bytes.readUInt32BE(0); left > 0; left--) {
      const id = Number(bytes.readBigInt64BE(at));
      const producer: Producer = {
        epoch: bytes.readInt16BE(at + 8),
        lastSeen: Number(bytes.readBigInt64BE(at + 10)),
        batches: [],
      };
      const count = bytes.readUInt8(at + 18);
      at += 19;
      for (let i = 0; i < count; i++, at += 24)
        producer.batches.push({
          firstSequence: bytes.readInt32BE(at),
          lastSequence: bytes.readInt32BE(at + 4),
          base: Number(bytes.readBigInt64BE(at + 8)),
          next: Number(bytes.readBigInt64BE(at + 16)),
        });
      producers.#producers.set(id, producer);
    }
    return producers;
  }
}

/** Judges a batch of a known epoch by what came before it, oldest first; at least one, or anything goes. */
export function judge(header: BatchHeader, before: readonly RememberedBatch[]): SequenceVerdict {
  const newest = before.at(-1);
  if (newest === undefined) return NEW;
  const last = lastSequence(header);
  const same = before.find((b) => b.firstSequence === header.baseSequence && b.lastSequence === last);
  if (same !== undefined) return { kind: 'duplicate', base: same.base, next: same.next };
  const expected = (newest.lastSequence + 1) % 2 ** 31;
  if (header.baseSequence === expected) return NEW;
  // also what lies behind: a client takes "duplicate" for "stored", so that is said only with the stored batch in hand
  throw new StorageError(
    'SEQUENCE_GAP',
    `producer ${header.producerId} sent sequence ${header.baseSequence}, ${expected} comes next`,
  );
}

export function startsAtZero(header: BatchHeader): SequenceVerdict {
  if (header.baseSequence === 0) return NEW;
  throw new StorageError(
    'SEQUENCE_GAP',
    `producer ${header.producerId} begins epoch ${header.producerEpoch} at sequence ${header.baseSequence}, not 0`,
  );
}

export function fenced(header: BatchHeader, epoch: number): StorageError {
  return new StorageError(
    'PRODUCER_FENCED',
    `producer ${header.producerId} sent epoch ${header.producerEpoch}, epoch ${epoch} is in force`,
  );
}

export function remember(header: BatchHeader): RememberedBatch {
  return {
    firstSequence: header.baseSequence,
    lastSequence: lastSequence(header),
    base: header.baseOffset,
    next: nextOffset(header),
  };
}

function lastSequence(header: BatchHeader): number {
  return (header.baseSequence + header.lastOffsetDelta) % 2 ** 31;
}
