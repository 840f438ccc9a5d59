/** The chains in Meta, as far as they lie on one instance. */
import type { ArchivePlace, ArchiveShelf } from '../engine.ts';
import { isStorageError } from '../errors.ts';
import type { Meta } from '../meta/port.ts';
import { chainPrefix, type HeadRow, headCodec, type SegmentRow, segmentCodec } from '../shard/chain.ts';
import type { ArchivedSegment } from './manifest.ts';

/** Swaps are rarer than that; what still overlaps then is for `archive verify` to report. */
const MOST_LOOKS = 5;

/** `<topic id>/<shard>` of a key such as `chain/<topic id>/<shard>/<seq>`. */
export function shardNameOf(key: string): string {
  const [, topicId = '', shard = ''] = key.split('/');
  return `${topicId}/${shard}`;
}

/** Names of all shards that have a sealed segment on the instance. */
export async function shardsOn(meta: Meta, instance: string): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const { key, value } of rowsOf(meta, 'chain/')) {
    const row = segmentCodec.decode(value, key);
    if (row.instance === instance && row.state === 'SEALED') found.add(shardNameOf(key));
  }
  return found;
}

/** The heads of all shards. */
export async function headsOf(meta: Meta): Promise<Map<string, HeadRow>> {
  const heads = new Map<string, HeadRow>();
  for await (const { key, value } of rowsOf(meta, 'shard/')) heads.set(shardNameOf(key), headCodec.decode(value, key));
  return heads;
}

/**
 * The sealed segments of a shard on an instance, in order, with where they lie: those in `known` lie where they did. One that
 * has gone meanwhile is left out.
 */
export async function segmentsOn(
  meta: Meta,
  shelf: ArchiveShelf,
  name: string,
  instance: string,
  known: ReadonlyMap<string, ArchivePlace>,
): Promise<ArchivedSegment[]> {
  const segments: ArchivedSegment[] = [];
  for (const row of await sealedRows(meta, name, instance)) {
    const place = known.get(row.id) ?? (await placeOf(shelf, row.id));
    if (place !== undefined) segments.push(archived(row, place));
  }
  return segments;
}

async function placeOf(shelf: ArchiveShelf, id: string): Promise<ArchivePlace | undefined> {
  try {
    return await shelf.place(id);
  } catch (error) {
    // dropped since its row was read, or lost: then it is nothing that could be restored
    if (isStorageError(error, 'SEGMENT_UNKNOWN', 'SEGMENT_LOST')) return undefined;
    throw error;
  }
}

/** A swap may come between two pages of the list, so that what was replaced and what replaced it are both seen: then once more. */
async function sealedRows(meta: Meta, name: string, instance: string): Promise<SegmentRow[]> {
  const [topicId = '', shard = ''] = name.split('/');
  for (let attempt = 1; ; attempt++) {
    const rows: SegmentRow[] = [];
    for await (const { key, value } of rowsOf(meta, chainPrefix(topicId, Number(shard)))) {
      const row = segmentCodec.decode(value, key);
      if (row.instance === instance && row.state === 'SEALED') rows.push(row);
    }
    rows.sort((a, b) => a.base - b.base);
    const isTiled = rows.every((row, index) => row.base >= (rows[index - 1]?.end ?? 0));
    if (isTiled || attempt === MOST_LOOKS) return rows;
  }
}

function archived(row: SegmentRow, place: ArchivePlace): ArchivedSegment {
  const { seq, id, base, end, epoch, epochs, bytes, crc, minTs, maxTs, appendMaxTs } = row;
  return {
    seq,
    id,
    base,
    end,
    epoch,
    ...(epochs === undefined ? {} : { epochs }),
    bytes,
    crc,
    minTs,
    maxTs,
    appendMaxTs,
    ...(row.compacted === true ? { compacted: true } : {}),
    place,
  };
}

async function* rowsOf(meta: Meta, prefix: string): AsyncGenerator<{ key: string; value: Uint8Array }> {
  for (let after: string | undefined, more = true; more; ) {
    const page = await meta.list({ prefix, ...(after === undefined ? {} : { after }) });
    yield* page.entries;
    after = page.entries.at(-1)?.key;
    more = page.more && after !== undefined;
  }
}
