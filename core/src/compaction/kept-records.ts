import { writeCrc } from '../batch/check.ts';
import { compressAside } from '../batch/codec/aside.ts';
import {
  BATCH_HEADER_BYTES,
  BATCH_LOG_OVERHEAD,
  type BatchHeader,
  codecOf,
  isLogAppendTime,
  viewOf,
} from '../batch/header.ts';
import type { RecordCursor } from '../batch/records-cursor.ts';
import { sizeOfInt32, sizeOfInt64, writeInt32, writeInt64 } from '../batch/varint.ts';

/** The records of one batch that stay, as they are encoded. */
export class KeptRecords {
  tombstones: boolean = false;
  maxTimestamp: number = Number.NEGATIVE_INFINITY;
  #minTimestamp = Number.POSITIVE_INFINITY;
  readonly #records: { whole: Uint8Array; attributes: number; timestamp: number; rest: Uint8Array }[] = [];

  get count(): number {
    return this.#records.length;
  }

  add(cursor: RecordCursor): void {
    const { bytes, start, attributesAt, offsetDeltaAt, end, timestamp } = cursor;
    this.#records.push({
      whole: bytes.subarray(start, end),
      attributes: bytes[attributesAt] ?? 0,
      timestamp,
      rest: bytes.subarray(offsetDeltaAt, end),
    });
    this.maxTimestamp = Math.max(this.maxTimestamp, timestamp);
    this.#minTimestamp = Math.min(this.#minTimestamp, timestamp);
    if (cursor.hasKey && cursor.isTombstone) this.tombstones = true;
  }

  /** Timestamps so large that a number can't hold them exactly stay as they were encoded. */
  canBeRelativeTo(baseTimestamp: number): boolean {
    return [this.#minTimestamp, this.maxTimestamp].every(
      (timestamp) => Number.isSafeInteger(timestamp) && Number.isSafeInteger(timestamp - baseTimestamp),
    );
  }

  plain(): Uint8Array {
    return Buffer.concat(this.#records.map((record) => record.whole));
  }

  relativeTo(baseTimestamp: number): Uint8Array {
    return Buffer.concat(
      this.#records.flatMap(({ attributes, timestamp, rest }) => {
        const delta = timestamp - baseTimestamp;
        const length = 1 + sizeOfInt64(delta) + rest.length;
        const head = Buffer.allocUnsafe(sizeOfInt32(length) + 1 + sizeOfInt64(delta));
        const at = writeInt32(head, 0, length);
        head[at] = attributes;
        writeInt64(head, at + 1, delta);
        return [head, rest];
      }),
    );
  }
}

/** The batch of `oldHeader` with only these records, and with a delete horizon when one is given. */
export async function rebuild(
  oldHeader: Uint8Array,
  header: BatchHeader,
  kept: KeptRecords,
  deleteHorizon: number | undefined,
): Promise<Uint8Array> {
  const codec = codecOf(header) ?? 'none';
  const appendTime = isLogAppendTime(header);
  const plain = deleteHorizon === undefined || appendTime ? kept.plain() : kept.relativeTo(deleteHorizon);
  const stored = await compressAside(codec, plain);
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + stored.length);
  batch.set(oldHeader);
  batch.set(stored, BATCH_HEADER_BYTES);
  const view = viewOf(batch);
  view.setInt32(8, batch.length - BATCH_LOG_OVERHEAD);
  if (deleteHorizon !== undefined) {
    view.setInt16(21, header.attributes | 0x40);
    view.setBigInt64(27, BigInt(deleteHorizon));
  }
  if (!appendTime && Number.isSafeInteger(kept.maxTimestamp)) view.setBigInt64(35, BigInt(kept.maxTimestamp));
  view.setInt32(57, kept.count);
  writeCrc(batch);
  return batch;
}
