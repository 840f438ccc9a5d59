import { decodeRecords, forEachBatch, isControl, type Logger, nextOffset, type StoredRecord } from '@robustmq/core';

/** The records at or above `from` in chunks of whole batches, without the markers of transactions. A batch that can't be opened is passed over. */
export function recordsIn(
  chunks: readonly Uint8Array[],
  from: number,
  maxDecompressedBytes: number,
  logger: Logger,
): StoredRecord[] {
  const found: StoredRecord[] = [];
  for (const chunk of chunks)
    forEachBatch(chunk, (header, at) => {
      if (isControl(header) || nextOffset(header) <= from) return;
      try {
        for (const record of decodeRecords(chunk, { maxDecompressedBytes }, at))
          if (record.offset >= from) found.push(record);
      } catch (err) {
        logger.warn({ err, baseOffset: header.baseOffset }, 'a batch whose records cannot be decoded is not delivered');
      }
    });
  return found;
}
