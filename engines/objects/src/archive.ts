/**
 * The store without Meta: manifests, images of segments at the places that they name, and what else lies there. The only part of this engine that lists.
 */
import {
  type ArchiveContext,
  type ArchivePlace,
  type ArchiveReader,
  isStorageError,
  type Meta,
  type MetaMutation,
  type Random,
  type SegmentReader,
  type ShelvedSegment,
  StorageError,
  unreadMetrics,
} from '@robustmq/core';
import type { ObjectBackend } from './backend.ts';
import { openImage } from './image/image-reader.ts';
import { IndexCache } from './image/index-cache.ts';
import { MANIFEST_PREFIX, MARK_OBJECT, manifestObject, ObjectNames } from './keys.ts';
import {
  MEDIUM_KEY,
  mediumCodec,
  objectCodec,
  objectKey,
  type Place,
  type SegmentRow,
  segmentCodec,
  segmentKey,
} from './meta/rows.ts';
import { appendedKey, readsOf } from './read/appended.ts';
import { Pieces } from './read/pieces.ts';
import type { ObjectSettings } from './settings.ts';
import { RequestBudget } from './store/budget.ts';
import { Meter } from './store/meter.ts';
import type { ListedObject, ObjectInfo } from './store/port.ts';
import { steadyStore } from './store/steady.ts';
import type { SteadyStore } from './store/steady-store.ts';

const INDEX_SHARE = 1 / 8;
const LIST_PAGE = 1000;
/** Of names beside the clusters', where a store is shared: so many pages are looked at for them. */
const CLUSTER_PAGES = 50;
const CLUSTER = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** What segments lie in: images, and what was appended and has no image yet. */
const HOLDS_SEGMENTS = /^[0-9a-f]{4}\/(seg|log)\//;
/** Lives are counted from 1, so this one is over. */
const LIFE_OF_ADOPTED = '0-0';
/**
 * A LIST may lag, and a manifest that it does not show yet is the one that counts. So above the highest one each number is asked for, until so many in a row are
 * not there: those of writes that failed are never used again, and old manifests are deleted.
 */
const LOOKED_AHEAD = 256;
const LOOKED_AT_ONCE = 32;
/** Rows in one round trip to Meta. */
const ADOPTED_AT_ONCE = 50;

/** Opens the archive in a store. The budget of requests is a node's: a person who reads has none. */
export async function openObjectArchive(
  ctx: ArchiveContext<ObjectSettings>,
  backend: ObjectBackend,
): Promise<ArchiveReader> {
  const { config: settings, clock, random } = ctx;
  const store = steadyStore({
    store: backend.store,
    settings,
    hints: backend.hints,
    budget: new RequestBudget({}, clock),
    meter: new Meter('archive', unreadMetrics, settings.prices, () => {}),
    clock,
    random,
    isConditional: () => false,
    checkKey: () => `${settings.prefix}${MARK_OBJECT}`,
    health: () => {},
  });
  try {
    const cluster = ctx.cluster ?? (await onlyCluster(store, settings.prefix, backend.place));
    return new ObjectArchive(store, settings, cluster, ctx);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function onlyCluster(store: SteadyStore, prefix: string, place: ObjectBackend['place']): Promise<string> {
  const { clusters, isWhole } = await clustersIn(store, prefix);
  const [only] = clusters;
  if (only !== undefined && clusters.length === 1 && isWhole) return only;
  if (!isWhole)
    throw new StorageError(
      'INVALID_ARGUMENT',
      `The ${place.noun} has more names under this prefix than are looked at for clusters (${CLUSTER_PAGES * LIST_PAGE})`,
      {
        where: `${store.where}/${prefix}`,
        hint: `Name the cluster with --cluster${only === undefined ? '' : `, such as ${clusters.slice(0, 10).join(', ')}`}`,
      },
    );
  throw new StorageError(
    'INVALID_ARGUMENT',
    only === undefined
      ? `The ${place.noun} holds no cluster under this prefix`
      : `The ${place.noun} holds ${clusters.length} clusters`,
    {
      where: `${store.where}/${prefix}`,
      hint:
        only === undefined
          ? `Correct ${place.settings}`
          : `Name one with --cluster: ${clusters.slice(0, 10).join(', ')}`,
    },
  );
}

/** `isWhole`: there are no others. */
async function clustersIn(
  store: SteadyStore,
  prefix: string,
): Promise<{ readonly clusters: readonly string[]; readonly isWhole: boolean }> {
  const clusters: string[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < CLUSTER_PAGES; pages++) {
    const page = await store.list({
      prefix,
      delimiter: '/',
      limit: LIST_PAGE,
      ...(after === undefined ? {} : { after }),
    });
    clusters.push(...page.prefixes.map((found) => found.slice(prefix.length, -1)).filter((name) => CLUSTER.test(name)));
    // behind all that lies in the last folder: stores name it again when they are to begin at its name
    const last = [...page.prefixes.slice(-1).map(behind), ...page.objects.slice(-1).map(({ key }) => key)];
    after = last.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).at(-1);
    if (!page.more || after === undefined) return { clusters, isWhole: true };
  }
  return { clusters, isWhole: false };
}

/** `0` is the letter after `/`. No cluster is passed over: none has the name that this leaves out, an object's. */
function behind(folder: string): string {
  return `${folder.slice(0, -1)}0`;
}

class ObjectArchive implements ArchiveReader {
  readonly cluster: string;
  readonly #store: SteadyStore;
  readonly #settings: ObjectSettings;
  readonly #names: ObjectNames;
  readonly #random: Random;
  readonly #pieces: Pieces;
  readonly #indexes: IndexCache;

  constructor(
    store: SteadyStore,
    settings: ObjectSettings,
    cluster: string,
    { clock, random }: Pick<ArchiveContext<ObjectSettings>, 'clock' | 'random'>,
  ) {
    this.cluster = cluster;
    this.#store = store;
    this.#settings = settings;
    this.#names = new ObjectNames(settings.prefix, cluster);
    this.#random = random;
    const { pieceBytes, cacheBytes } = settings;
    const reads = readsOf(store);
    this.#pieces = new Pieces(reads, { clock, pieceBytes, cacheBytes: Math.floor(cacheBytes * (1 - INDEX_SHARE)) });
    this.#indexes = new IndexCache(reads, this.#pieces, { limitBytes: Math.floor(cacheBytes * INDEX_SHARE) });
  }

  async manifests({ after = 0, limit }: { readonly after?: number; readonly limit: number }): Promise<number[]> {
    const prefix = this.#names.keyOf(MANIFEST_PREFIX);
    const numbers: number[] = [];
    for await (const { key } of this.#list(prefix, this.#names.keyOf(manifestObject(after)))) {
      const number = Number(key.slice(prefix.length));
      if (Number.isSafeInteger(number)) numbers.push(number);
      if (numbers.length >= limit) return numbers;
    }
    for await (const number of this.#manifestsAbove(numbers.at(-1) ?? after)) {
      numbers.push(number);
      if (numbers.length >= limit) break;
    }
    return numbers;
  }

  async readManifest(number: number): Promise<Uint8Array> {
    const key = this.#names.keyOf(manifestObject(number));
    const found = await this.#headManifest(number);
    if (found === undefined)
      throw new StorageError('IO_ERROR', 'There is no such manifest', {
        where: `${this.#store.where}, ${key}`,
        hint: 'archive ls --manifests shows which there are, and --manifest names another one',
      });
    return found.bytes === 0 ? new Uint8Array(0) : this.#store.getRange(key, 0, found.bytes);
  }

  async openReader(place: ArchivePlace): Promise<SegmentReader> {
    const { uid, object, from, at, bytes, objectBytes } = shelvedAt(place);
    return await openImage(
      this.#pieces,
      { key: appendedKey(this.#names.keyOf(object), from), at, bytes, objectBytes },
      {
        indexes: this.#indexes,
        readAheadPieces: this.#settings.readAheadPieces,
        for: [],
        lane: 'hot',
        expect: { uid: uid.replaceAll('-', '') },
      },
    );
  }

  async *objects(): AsyncGenerator<{ readonly name: string; readonly bytes: number; readonly putAt: number }> {
    for await (const { key, bytes, putAt } of this.#list(this.#names.root)) {
      const name = key.slice(this.#names.root.length);
      if (HOLDS_SEGMENTS.test(name)) yield { name, bytes, putAt };
    }
  }

  objectOf(place: ArchivePlace): string {
    return shelvedAt(place).object;
  }

  async adopt(meta: Meta, segments: readonly ShelvedSegment[]): Promise<{ readonly incarnation: string }> {
    await this.#takeMedium(meta);
    for (let at = 0; at < segments.length; at += ADOPTED_AT_ONCE)
      await meta.commitEach(segments.slice(at, at + ADOPTED_AT_ONCE).map((segment) => this.#rowsOf(segment)));
    return { incarnation: this.cluster };
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #takeMedium(meta: Meta): Promise<void> {
    const found = await meta.get(MEDIUM_KEY);
    const known = found === undefined ? undefined : mediumCodec.decode(found.value, found.key).cluster;
    if (known === this.cluster) return;
    if (known !== undefined)
      throw new StorageError('INSTANCE_CHANGED', `Meta has another cluster's archive under this name (${known})`, {
        hint: 'Restore into an empty data directory, or under another instance name',
      });
    await meta.commit({
      id: this.#random.uuid(),
      guards: [{ key: MEDIUM_KEY, revision: 0 }],
      puts: [{ key: MEDIUM_KEY, value: mediumCodec.encode({ cluster: this.cluster, marked: true }) }],
    });
  }

  /** One that is there already stays as it is. */
  #rowsOf({ id, base, end, epoch, place }: ShelvedSegment): MetaMutation {
    const { uid, ...found } = shelvedAt(place);
    // the image says whose it is, and is held against the row
    const row: SegmentRow = { uid, life: LIFE_OF_ADOPTED, base, epoch, end, place: found };
    const key = segmentKey(id);
    return {
      id: this.#random.uuid(),
      guards: [{ key, revision: 0 }],
      puts: [
        { key, value: segmentCodec.encode(row) },
        {
          key: objectKey(found.object),
          value: objectCodec.encode({ kind: 'segment', state: 'stored', life: LIFE_OF_ADOPTED }),
        },
      ],
    };
  }

  async *#manifestsAbove(from: number): AsyncGenerator<number> {
    if (!(await this.#tellsWhatIsMissing(from + 1))) return;
    for (let next = from + 1, highest = from; next <= highest + LOOKED_AHEAD; next += LOOKED_AT_ONCE) {
      const numbers = Array.from({ length: LOOKED_AT_ONCE }, (_, i) => next + i);
      const found = await Promise.all(numbers.map((number) => this.#headManifest(number)));
      for (const number of numbers.filter((_, i) => found[i] !== undefined)) {
        yield number;
        highest = number;
      }
    }
  }

  /** S3 refuses who may list only a part of a bucket: it will not even say that something is not there. What LIST shows has to do then. */
  async #tellsWhatIsMissing(number: number): Promise<boolean> {
    try {
      await this.#headManifest(number);
      return true;
    } catch (error) {
      if (isStorageError(error, 'STORE_DENIED')) return false;
      throw error;
    }
  }

  #headManifest(number: number): Promise<ObjectInfo | undefined> {
    return this.#store.head(this.#names.keyOf(manifestObject(number)));
  }

  async *#list(prefix: string, from?: string): AsyncGenerator<ListedObject> {
    for (let after = from, more = true; more; ) {
      const page = await this.#store.list({ prefix, limit: LIST_PAGE, ...(after === undefined ? {} : { after }) });
      yield* page.objects;
      after = page.objects.at(-1)?.key;
      more = page.more && after !== undefined;
    }
  }
}

function shelvedAt(place: ArchivePlace): Place & { readonly uid: string } {
  const { uid, object, from, at, bytes, objectBytes } = place;
  const isNamed = typeof uid === 'string' && typeof object === 'string';
  if (isNamed && [at, bytes, objectBytes, from ?? 0].every(Number.isSafeInteger))
    // every field was looked at
    return {
      uid,
      object,
      at,
      bytes,
      objectBytes,
      ...(from === undefined ? {} : { from }),
    } as Place & { readonly uid: string };
  throw new StorageError('CORRUPT', `${JSON.stringify(place)} is no place in a store`);
}
