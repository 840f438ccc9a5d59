import {
  defineEngine,
  ENGINE_API_VERSION,
  type EngineContext,
  type EngineDefinition,
  type IngestOptions,
  type IngestResult,
  type StorageEngine,
  StorageError,
  systemClock,
} from '@robustmq/core';
import type { Placement } from '../src/image/format.ts';
import { openImage } from '../src/image/image-reader.ts';
import { writeImage } from '../src/image/image-writer.ts';
import { IndexCache } from '../src/image/index-cache.ts';
import { Pieces } from '../src/read/pieces.ts';
import { StoredObjects } from './stored-objects.ts';

interface Kept {
  readonly place: Placement;
  readonly options: Pick<IngestOptions, 'base' | 'end' | 'uid'>;
  readonly result: IngestResult;
  epoch: number;
}

interface Medium {
  readonly store: StoredObjects;
  readonly segments: Map<string, Kept>;
}

/** Media by directory: they outlive an instance, as a bucket does. */
const media = new Map<string, Medium>();

/** Images and what reads them, as the smallest engine that takes whole segments: small blocks and pieces, so that everything spans several of them. */
export const imageEngine: EngineDefinition = defineEngine({
  name: 'images',
  apiVersion: ENGINE_API_VERSION,
  version: '0.0.0',
  configSchema: { type: 'object', additionalProperties: false, properties: {} },
  capabilities: { durability: 'object-store', placement: 'cluster', append: false, maxBatchBytes: 1024 * 1024 },
  open: async (ctx) => openImages(ctx),
});

function openImages(ctx: EngineContext): StorageEngine {
  const medium = media.get(ctx.dir) ?? { store: new StoredObjects(), segments: new Map() };
  media.set(ctx.dir, medium);
  const { store, segments } = medium;
  const pieces = new Pieces(store, { clock: systemClock, pieceBytes: 4096, cacheBytes: 64 * 1024, mergePieces: 2 });
  const indexes = new IndexCache(store, pieces, { limitBytes: 16 * 1024 });

  const find = (id: string): Kept => {
    const kept = segments.get(id);
    if (kept === undefined) throw new StorageError('SEGMENT_UNKNOWN', 'There is no such segment', { where: id });
    return kept;
  };

  return {
    incarnation: 'images',
    create: async () => {
      throw new StorageError('NOT_SUPPORTED', 'It takes whole segments');
    },
    async recover(id, { epoch }) {
      const kept = find(id);
      if (epoch < kept.epoch) throw new StorageError('FENCED', `Epoch ${kept.epoch} has it`, { outcome: 'none' });
      kept.epoch = epoch;
      return { end: kept.options.end };
    },
    async ingest(id, options, batches) {
      const before = segments.get(id);
      if (before?.options.uid === options.uid) return before.result;
      if (before !== undefined) throw new StorageError('SEGMENT_EXISTS', 'There is another', { where: id });
      const image = writeImage({ ...options, uid: ctx.random.uuid().replaceAll('-', ''), blockBytes: 1000 }, batches);
      const chunks: Buffer[] = [];
      for await (const chunk of image.chunks) chunks.push(Buffer.from(chunk));
      if (segments.has(id)) throw new StorageError('SEGMENT_EXISTS', 'There is another', { where: id });
      const key = `${id}/${options.uid}`;
      const object = Buffer.concat(chunks);
      store.objects.set(key, object);
      const { bytes, crc } = image.summary();
      const place = { key, at: 0, bytes: object.length, objectBytes: object.length };
      segments.set(id, { place, options, result: { bytes, crc }, epoch: options.epoch });
      return { bytes, crc };
    },
    async openReader(id) {
      const { place, options, result } = find(id);
      const expect = { base: options.base, end: options.end, digest: result.crc };
      return await openImage(pieces, place, { indexes, readAheadPieces: 4, expect });
    },
    async delete(id) {
      const kept = segments.get(id);
      segments.delete(id);
      if (kept !== undefined) store.objects.delete(kept.place.key);
    },
    async list({ prefix, after = '', limit }) {
      const ids = [...segments.keys()].filter((id) => id.startsWith(prefix) && id > after);
      return ids.toSorted().slice(0, limit);
    },
    async close() {
      pieces.clear();
    },
  };
}
