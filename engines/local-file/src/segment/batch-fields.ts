/** Single fields of a record batch (core's `batch/header.ts` has the layout), read without making an object per batch. */

export function int32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

export function int64At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) * 2 ** 32 + (int32At(bytes, at + 4) >>> 0);
}

export function baseOffsetAt(bytes: Uint8Array, at: number): number {
  return int64At(bytes, at);
}

/** Of the whole batch. */
export function batchBytesAt(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at + 8) + 12;
}

/** One past the last offset of the batch. */
export function nextOffsetAt(bytes: Uint8Array, at: number): number {
  return int64At(bytes, at) + int32At(bytes, at + 23) + 1;
}

/** The batches of one append, which lie one behind the other, and one past the last offset of the last. */
export function splitBatches(bytes: Buffer): { readonly batches: readonly Buffer[]; readonly next: number } {
  const batches: Buffer[] = [];
  let next = 0;
  for (let at = 0; at < bytes.length; ) {
    const size = batchBytesAt(bytes, at);
    next = nextOffsetAt(bytes, at);
    batches.push(bytes.subarray(at, at + size));
    at += size;
  }
  return { batches, next };
}

export function maxTimestampAt(bytes: Uint8Array, at: number): number {
  return int64At(bytes, at + 35);
}
