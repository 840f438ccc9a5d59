/**
 * What an archive holds, as JSON in the store itself, so that it can be read without the cluster that wrote it. A manifest is a document and as many
 * pages before it as it needs: `pages` documents with the numbers right below its own. Each is a line of JSON and a line with the CRC of the first;
 * docs/archive-format.md says the rest.
 */
import { crc32c } from '@node-rs/crc32';
import type { TopicSettings } from '../adapter.ts';
import type { ArchivePlace } from '../engine.ts';
import { StorageError } from '../errors.ts';
import type { EpochStart, SegmentRow } from '../shard/chain.ts';

export interface ArchiveManifest {
  readonly number: number;
  /** Documents before it that belong to it. */
  readonly pages: number;
  /** Wall time, ms, before anything in it was looked up. */
  readonly writtenAt: number;
  /** Of the cluster that wrote it. */
  readonly cluster: string;
  /** The instance's name in its config. */
  readonly instance: string;
  readonly topics: readonly ArchivedTopic[];
}

export interface ArchivedTopic {
  readonly name: string;
  readonly id: string;
  readonly shardCount: number;
  /** As they were in force. */
  readonly settings: TopicSettings;
  /** Those with something to say. */
  readonly shards: readonly ArchivedShard[];
}

export interface ArchivedShard {
  readonly shard: number;
  readonly epoch: number;
  readonly logStart: number;
  /** Every offset that had ever been given out was below this. */
  readonly reserved: number;
  readonly nextSeq: number;
  /** Those on this instance, in order of their offsets. */
  readonly segments: readonly ArchivedSegment[];
}

export interface ArchivedSegment
  extends Pick<
    SegmentRow,
    'seq' | 'id' | 'base' | 'end' | 'epoch' | 'bytes' | 'crc' | 'minTs' | 'maxTs' | 'appendMaxTs'
  > {
  readonly epochs?: readonly EpochStart[];
  readonly compacted?: true;
  readonly place: ArchivePlace;
}

export const MANIFEST_MAGIC = 'robustmq archive';
export const MANIFEST_VERSION = 1;
/** A document that has grown to this is ended. */
export const PAGE_BYTES: number = 4 * 1024 * 1024;

interface Document {
  readonly kind: 'manifest' | 'page';
  readonly number: number;
  readonly topics: readonly ArchivedTopic[];
  readonly pages: number;
  readonly writtenAt: number;
  readonly cluster: string;
  readonly instance: string;
}

/** Splits what a manifest says into as many documents as its size asks for. The last one is for the manifest itself. */
export function paginate(topics: readonly ArchivedTopic[], pageBytes: number = PAGE_BYTES): ArchivedTopic[][] {
  const pages: ArchivedTopic[][] = [];
  let page: ArchivedTopic[] = [];
  let bytes = 0;
  const add = (topic: ArchivedTopic, size: number): void => {
    if (bytes > 0 && bytes + size > pageBytes) {
      pages.push(page);
      page = [];
      bytes = 0;
    }
    page.push(topic);
    bytes += size;
  };
  for (const topic of topics) {
    const pieces = piecesOf(topic, pageBytes);
    for (const { shards, bytes: size } of pieces) add({ ...topic, shards }, size);
  }
  return [...pages, page];
}

/** `topics` of one document; `pages` documents with the numbers below this one's belong to a manifest. */
export function encodeDocument(document: Document): Uint8Array {
  const { kind, number, topics, pages, writtenAt, cluster, instance } = document;
  const head = { magic: MANIFEST_MAGIC, version: MANIFEST_VERSION, kind, number };
  const body = kind === 'page' ? { ...head, topics } : { ...head, pages, writtenAt, cluster, instance, topics };
  const line = Buffer.from(`${JSON.stringify(body)}\n`);
  return Buffer.concat([line, Buffer.from(`${JSON.stringify({ crc32c: hex(crc32c(line)) })}\n`)]);
}

/** @throws CORRUPT, FORMAT_TOO_NEW */
export function decodeDocument(bytes: Uint8Array, number: number): Document {
  const where = `manifest ${number}`;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ends = text.indexOf('\n') + 1;
  const damaged = (what: string, cause?: unknown): StorageError =>
    new StorageError('CORRUPT', `the manifest ${what}`, {
      where,
      cause,
      hint: 'Name an older one with --manifest; what was deleted since it was written can not be read',
    });
  let json: Record<string, unknown>;
  try {
    // an object, or what is asked of it below fails
    json = JSON.parse(text.toString('utf8', 0, ends)) as Record<string, unknown>;
    if (json.magic !== MANIFEST_MAGIC) throw new Error('the magic is another');
  } catch (cause) {
    throw damaged('is no manifest', cause);
  }
  if (typeof json.version === 'number' && json.version > MANIFEST_VERSION)
    throw new StorageError(
      'FORMAT_TOO_NEW',
      `the manifest has version ${json.version}, this build reads up to ${MANIFEST_VERSION}`,
      {
        where,
        hint: 'Use the newer build that wrote it',
      },
    );
  const sum = JSON.stringify({ crc32c: hex(crc32c(text.subarray(0, ends))) });
  if (text.toString('utf8', ends).trim() !== sum) throw damaged('does not have the CRC that it says it has');
  if (json.number !== number) throw damaged(`says that it is number ${String(json.number)}`);
  // with magic, version and CRC right it is as this file wrote it
  return json as unknown as Document;
}

/** What several documents say together: a topic and a shard may go on in the next one. */
export function joinTopics(documents: readonly (readonly ArchivedTopic[])[]): ArchivedTopic[] {
  const topics = new Map<string, { topic: ArchivedTopic; shards: Map<number, ArchivedShard> }>();
  for (const topic of documents.flat()) {
    const known = topics.get(topic.id) ?? { topic, shards: new Map<number, ArchivedShard>() };
    topics.set(topic.id, known);
    for (const shard of topic.shards) {
      const before = known.shards.get(shard.shard)?.segments ?? [];
      known.shards.set(shard.shard, { ...shard, segments: [...before, ...shard.segments] });
    }
  }
  return [...topics.values()].map(({ topic, shards }) => ({ ...topic, shards: [...shards.values()] }));
}

/** Runs of a topic's shards, each not much larger than a page; a shard with many segments is cut. */
function piecesOf(
  topic: ArchivedTopic,
  pageBytes: number,
): { readonly shards: ArchivedShard[]; readonly bytes: number }[] {
  const headBytes = JSON.stringify({ ...topic, shards: [] }).length;
  const pieces: { shards: ArchivedShard[]; bytes: number }[] = [];
  let shards: ArchivedShard[] = [];
  let bytes = headBytes;
  const cut = (): void => {
    pieces.push({ shards, bytes });
    shards = [];
    bytes = headBytes;
  };
  for (const shard of topic.shards) {
    let from = 0;
    bytes += JSON.stringify({ ...shard, segments: [] }).length;
    for (const [index, segment] of shard.segments.entries()) {
      const size = JSON.stringify(segment).length + 1;
      if (bytes + size > pageBytes && (shards.length > 0 || index > from)) {
        if (index > from) shards.push({ ...shard, segments: shard.segments.slice(from, index) });
        from = index;
        cut();
      }
      bytes += size;
    }
    shards.push({ ...shard, segments: shard.segments.slice(from) });
  }
  cut();
  return pieces;
}

function hex(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, '0');
}
