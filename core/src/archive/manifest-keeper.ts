/**
 * Keeps the manifests of one instance up with its segments. Before a document is put its number is taken in Meta, so that no two processes ever put different
 * bytes under one number; afterwards Meta is told that it is there. A segment may be deleted only when the newest manifest that may be in the store
 * does not list it: so a restore from that manifest finds all that it names.
 */
import { createHash } from 'node:crypto';
import type { Topic } from '../adapter.ts';
import type { ArchivePlace, ArchiveShelf } from '../engine.ts';
import { StorageError, type ToldError, toldError } from '../errors.ts';
import type { Meta } from '../meta/port.ts';
import { NEW_HEAD } from '../shard/chain.ts';
import { asStorageError } from '../shard/failure.ts';
import type { Clock, Counter, Random } from '../world.ts';
import { headsOf, segmentsOn, shardsOn } from './chains.ts';
import { type ArchivedSegment, type ArchivedTopic, encodeDocument, paginate } from './manifest.ts';
import {
  type DurableManifest,
  type ManifestRow,
  manifestKey,
  manifestRowCodec,
  NEW_MANIFESTS,
} from './manifest-row.ts';

export interface ManifestKeeperOptions {
  readonly instance: string;
  readonly shelf: ArchiveShelf;
  readonly cluster: string;
  readonly meta: Meta;
  readonly clock: Clock;
  readonly random: Random;
  /** At most one document in so long. */
  readonly intervalMs: number;
  /** 4 MiB by default. */
  readonly pageBytes?: number;
  readonly written: Counter;
  readonly failures: Counter;
  topics(): Iterable<Topic>;
}

/** For people. */
export interface ManifestStatus {
  readonly instance: string;
  /** The newest one that is known to be in the store; 0: there is none. */
  readonly number: number;
  readonly writtenAt: number;
  /** What it lists. */
  readonly segments: number;
  readonly bytes: number;
  /** Something has changed since. */
  readonly isBehind: boolean;
  /** Why the last try failed. */
  readonly error?: ToldError;
}

/** Manifests that stay, the newest included: for a person who looks what an older one says. */
const KEPT = 10;
/** Documents deleted in one round. */
const MOST_DELETED = 100;

export class ManifestKeeper {
  readonly #options: ManifestKeeperOptions;
  /** Segments of each shard, as they were when it was last looked at. */
  readonly #shards = new Map<string, readonly ArchivedSegment[]>();
  /** Where the logs of those that the last manifest names begin. */
  readonly #starts = new Map<string, number>();
  /** Shards that have changed since; `all` before the first look, or when changes were missed. */
  #touched: Set<string> | 'all' = 'all';
  /** Topics or their settings have changed. */
  #retold = false;
  /** Segments that a manifest lists which may be the newest in the store; `undefined`: not known yet. */
  #listed: Set<string> | undefined;
  #writing = false;
  #newest: DurableManifest | undefined;
  #error: StorageError | undefined;
  /** Monotonic ms from which the next may be written. */
  #dueAt = 0;

  constructor(options: ManifestKeeperOptions) {
    this.#options = options;
  }

  /** A shard has another segment on the instance, or one less. */
  touch(shard: string): void {
    if (this.#touched !== 'all') this.#touched.add(shard);
  }

  /** The log of a shard begins elsewhere now, perhaps in the middle of a segment. */
  trimmed(shard: string, logStart: number): void {
    if (this.#shards.has(shard) && this.#starts.get(shard) !== logStart) this.#retold = true;
  }

  /** Changes may have been missed. */
  touchAll(): void {
    this.#touched = 'all';
  }

  retell(): void {
    this.#retold = true;
  }

  /** A topic is gone. */
  forget(topicId: string): void {
    for (const name of this.#shards.keys()) if (name.startsWith(`${topicId}/`)) this.#shards.delete(name);
    this.#retold = true;
  }

  /** No manifest that may be the newest one lists it, nor the one that is being written. */
  mayDelete(id: string): boolean {
    return !this.#writing && this.#listed !== undefined && !this.#listed.has(id);
  }

  status(): ManifestStatus {
    const segments = [...this.#shards.values()].flat();
    return {
      instance: this.#options.instance,
      number: this.#newest?.number ?? 0,
      writtenAt: this.#newest?.writtenAt ?? 0,
      segments: segments.length,
      bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
      isBehind: this.#isBehind,
      ...(this.#error === undefined ? {} : { error: toldError(this.#error) }),
    };
  }

  /** How old the newest manifest is while something has changed since, ms; 0: it says all. */
  get ageMs(): number {
    const writtenAt = this.#newest?.writtenAt;
    return this.#isBehind && writtenAt !== undefined ? Math.max(0, this.#options.clock.wall() - writtenAt) : 0;
  }

  /** Writes a manifest if there is something new to say, and it is time or `now` asks for it. @throws why it could not */
  async round({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    const { clock, failures } = this.#options;
    if (!this.#isBehind || (!now && clock.monotonic() < this.#dueAt)) return;
    const touched = this.#touched;
    const retold = this.#retold;
    this.#touched = new Set();
    this.#retold = false;
    this.#writing = true;
    try {
      await this.#write(touched);
      this.#error = undefined;
    } catch (error) {
      this.#missed(touched, retold);
      this.#error = asStorageError(error, `manifest of ${this.#options.instance}`);
      failures.value++;
      throw error;
    } finally {
      this.#writing = false;
    }
  }

  get #isBehind(): boolean {
    return this.#retold || this.#touched === 'all' || this.#touched.size > 0;
  }

  #missed(touched: ReadonlySet<string> | 'all', retold: boolean): void {
    this.#retold ||= retold;
    if (touched === 'all') this.#touched = 'all';
    else for (const shard of touched) this.touch(shard);
  }

  async #write(touched: ReadonlySet<string> | 'all'): Promise<void> {
    const { meta, clock, instance, cluster, shelf, written } = this.#options;
    const writtenAt = Math.floor(clock.wall());
    await this.#look(touched);
    const topics = await this.#gather();
    const digest = digestOf(topics);
    const found = await meta.get(manifestKey(instance));
    const row = found === undefined ? NEW_MANIFESTS : manifestRowCodec.decode(found.value, found.key);
    const newest = row.durable.at(-1);
    // a number behind the newest may have been put without anybody knowing
    const isKnown = newest !== undefined && row.next === newest.number + 1 && newest.digest === digest;
    if (isKnown || (newest === undefined && row.next === 1 && topics.length === 0)) {
      this.#newest = newest;
      this.#listed = idsOf(topics);
      return;
    }
    const pages = paginate(topics, this.#options.pageBytes);
    const number = row.next + pages.length - 1;
    const taken = await this.#commit({ ...row, next: number + 1 }, found?.revision ?? 0);
    // from now on that may be the newest one, whether its arrival is heard of or not
    if (this.#listed !== undefined) for (const id of idsOf(topics)) this.#listed.add(id);
    for (const [index, page] of pages.entries()) {
      const isLast = index === pages.length - 1;
      const document = {
        number: row.next + index,
        topics: page,
        pages: pages.length - 1,
        writtenAt,
        cluster,
        instance,
      };
      await shelf.putManifest(document.number, encodeDocument({ ...document, kind: isLast ? 'manifest' : 'page' }));
    }
    const made: DurableManifest = { number, pages: pages.length - 1, writtenAt, digest };
    const durable = [...row.durable, made].slice(-KEPT);
    const cleared = await this.#clear(row.cleared, durable);
    await this.#commit({ next: number + 1, durable, cleared }, taken);
    this.#newest = made;
    this.#listed = idsOf(topics);
    this.#dueAt = clock.monotonic() + pages.length * this.#options.intervalMs;
    written.value++;
  }

  /** Reads the chains of shards that have changed. */
  async #look(touched: ReadonlySet<string> | 'all'): Promise<void> {
    const { meta, instance, shelf } = this.#options;
    const names = touched === 'all' ? await shardsOn(meta, instance) : touched;
    if (touched === 'all') for (const name of this.#shards.keys()) if (!names.has(name)) this.#shards.delete(name);
    for (const name of names) {
      const known = new Map<string, ArchivePlace>(this.#shards.get(name)?.map(({ id, place }) => [id, place]));
      const segments = await segmentsOn(meta, shelf, name, instance, known);
      if (segments.length > 0) this.#shards.set(name, segments);
      else this.#shards.delete(name);
    }
  }

  /** Topics with something on the instance, and those that are archived there. */
  async #gather(): Promise<ArchivedTopic[]> {
    const { meta, instance, topics } = this.#options;
    const heads = await headsOf(meta);
    const gathered: ArchivedTopic[] = [];
    this.#starts.clear();
    for (const { id, name, shards: shardCount, settings } of topics()) {
      const shards = Array.from({ length: shardCount }, (_, shard) => {
        const shardName = `${id}/${shard}`;
        const { epoch, logStart, reserved, nextSeq } = heads.get(shardName) ?? NEW_HEAD;
        this.#starts.set(shardName, logStart);
        const segments = (this.#shards.get(shardName) ?? []).filter(({ end }) => end > logStart);
        return { shard, epoch, logStart, reserved, nextSeq, segments };
      });
      if (settings.archive.to !== instance && shards.every(({ segments }) => segments.length === 0)) continue;
      gathered.push({ name, id, shardCount, settings, shards: shards.filter(({ nextSeq }) => nextSeq > 1) });
    }
    return gathered.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Deletes documents of manifests that need not stay any longer, as far as the store lets it. @returns all below are gone */
  async #clear(from: number, durable: readonly DurableManifest[]): Promise<number> {
    const oldest = durable[0] as DurableManifest; // the one just made, at least
    const to = Math.min(oldest.number - oldest.pages, from + MOST_DELETED);
    for (let number = from; number < to; number++) {
      try {
        await this.#options.shelf.deleteManifest(number);
      } catch {
        return number; // with the next manifest again
      }
    }
    return Math.max(from, to);
  }

  /** @returns the row's revision */
  async #commit(row: ManifestRow, revision: number): Promise<number> {
    const { meta, random, instance } = this.#options;
    const key = manifestKey(instance);
    const result = await meta.commit({
      id: random.uuid(),
      guards: [{ key, revision }],
      puts: [{ key, value: manifestRowCodec.encode(row) }],
    });
    if (result.ok) return result.revision;
    throw new StorageError('META_GUARD_FAILED', 'another node writes manifests of this instance', {
      where: key,
      retryable: true,
    });
  }
}

function idsOf(topics: readonly ArchivedTopic[]): Set<string> {
  return new Set(topics.flatMap(({ shards }) => shards.flatMap(({ segments }) => segments.map(({ id }) => id))));
}

/** Of what changes only when there is something new to say: heads grow all the time. */
function digestOf(topics: readonly ArchivedTopic[]): string {
  const hash = createHash('sha256');
  for (const { name, id, shardCount, settings, shards } of topics) {
    hash.update(JSON.stringify([name, id, shardCount, settings]));
    for (const { shard, logStart, segments } of shards) {
      hash.update(JSON.stringify([shard, logStart]));
      for (const segment of segments) hash.update(JSON.stringify(segment));
    }
  }
  return hash.digest('hex');
}
