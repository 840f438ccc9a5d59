import { decodeRecords, isControl, nextOffset, readHeader } from '@robustmq/core';
import { toJson } from './record-json.ts';

/** The records from `from` on as lines of JSON, at most `most`. */
export function recordLines(chunks: Iterable<Uint8Array>, shard: number, from: number, most: number): string[] {
  const lines: string[] = [];
  for (const chunk of chunks)
    for (let at = 0; at < chunk.length && lines.length < most; ) {
      const header = readHeader(chunk, at);
      if (!isControl(header) && nextOffset(header) > from)
        for (const record of decodeRecords(chunk, {}, at))
          if (record.offset >= from && lines.length < most) lines.push(JSON.stringify(toJson(record, shard)));
      at += header.bytes;
    }
  return lines;
}
