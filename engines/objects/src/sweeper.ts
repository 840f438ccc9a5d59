/**
 * Deletes objects that nothing leads to. It never asks the store what is there (a LIST may be stale, and costs): Meta knows every object that a life
 * has put, was about to put, or had numbers for.
 *
 * Safe because references are only ever added under the guard of a life's row. For a life that is over no reference can come any more, so an
 * object that no row leads to after that is garbage; rows are read in the order objects, runs, segments, so that a reference that was there when the
 * object's row was read is seen, or has gone for good; which lives go on is asked behind the objects, since a life that ends never comes back. What a life that is over had sent may still arrive: its orphans are deleted
 * only when `orphanGraceMs` have passed since it ended.
 */
import { isStorageError } from '@robustmq/core';
import type { Compaction } from './compaction.ts';
import type { Environment } from './environment.ts';
import { logObject, probeObjects, workFolder } from './keys.ts';
import { endLife } from './meta/life.ts';
import {
  DEAD_PREFIX,
  type DeadRow,
  deadCodec,
  LIFE_PREFIX,
  lifeCodec,
  lifeKey,
  OBJECT_PREFIX,
  objectCodec,
  objectKey,
  POINTER_PREFIX,
  pointerCodec,
  SEEN_PREFIX,
  SEGMENT_PREFIX,
  seenCodec,
  segmentCodec,
} from './meta/rows.ts';

interface References {
  /** By object: the uids of segments that need it. */
  readonly users: ReadonlyMap<string, ReadonlySet<string>>;
  /** By uid: runs of segments that were deleted, or have an image, before the rows of their runs could go. */
  readonly leftovers: ReadonlyMap<string, readonly { readonly object: string; readonly base: number }[]>;
  /** Sealed by a life that is over, and not compacted. */
  readonly sealed: readonly { readonly id: string; readonly bytes: number }[];
}

const SEEN_EVERY_MS = 60 * 60 * 1000;
/** A node that was not seen for so long is taken for gone; far longer than any pause of one that is not. */
const LOST_AFTER_MS = 24 * 60 * 60 * 1000;
/** Everything is looked through again after so long: what another node has dropped of ours is found so. */
const LOOK_EVERY_MS = 6 * 60 * 60 * 1000;

export class Sweeper {
  readonly #environment: Environment;
  readonly #compaction: Compaction;
  readonly #orphanGraceMs: number;
  /** Of lives that are over, by their names: what has been deleted in rounds that ended too early. */
  readonly #swept = new Map<string, Set<string>>();
  #seenAt: number;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(environment: Environment, compaction: Compaction, orphanGraceMs: number) {
    this.#environment = environment;
    this.#compaction = compaction;
    this.#orphanGraceMs = orphanGraceMs;
    this.#seenAt = environment.clock.monotonic();
  }

  /** @returns requests made to the store */
  async run(requests: number, signal: AbortSignal): Promise<number> {
    const now = this.#environment.clock.monotonic();
    if (now - this.#seenAt >= SEEN_EVERY_MS) {
      await this.#environment.life.seen();
      this.#seenAt = now;
      await this.#endLostLives();
    }
    if (now - this.#lookedAt >= LOOK_EVERY_MS) {
      await this.#look();
      this.#lookedAt = now;
    }
    let used = await this.#deleteGarbage(requests, signal);
    if (used < requests && (await this.#tidyUp())) used++;
    return used + (await this.#deleteOrphans(requests - used, signal));
  }

  /** @returns whether it asked the store */
  async #tidyUp(): Promise<boolean> {
    const { files, store, logger } = this.#environment;
    if (files === undefined) return false;
    try {
      return await store.tidyUp({ lane: 'upkeep' });
    } catch (error) {
      if (!isStorageError(error, 'CLOSED'))
        logger.warn({ err: error }, 'what failures have left could not be deleted yet');
      return true;
    }
  }

  async #deleteGarbage(requests: number, signal: AbortSignal): Promise<number> {
    const { objects, clock } = this.#environment;
    let used = 0;
    for (const object of objects.takeGarbage(clock.monotonic())) {
      if (used >= requests || signal.aborted) {
        objects.giveBack(object);
        continue;
      }
      try {
        used += await this.#delete(object);
      } catch (error) {
        used++;
        objects.giveBack(object);
        if (isStorageError(error, 'CLOSED')) return used;
        this.#environment.logger.warn({ object, err: error }, 'an object could not be deleted yet');
      }
    }
    return used;
  }

  /** The object first: as long as its row is there it is not forgotten. @returns requests made to the store */
  async #delete(object: string): Promise<number> {
    const { names, store, meta, random } = this.#environment;
    const entry = await meta.get(objectKey(object));
    let made = 1;
    if (entry !== undefined) {
      const { upload } = objectCodec.decode(entry.value, entry.key);
      if (upload !== undefined) {
        made++;
        await store.abortUpload(names.keyOf(object), upload, { lane: 'upkeep' });
      }
    }
    await store.delete(names.keyOf(object), { lane: 'upkeep' });
    this.#environment.forget(object);
    this.#environment.life.gone(object);
    if (entry !== undefined) await meta.commit({ id: random.uuid(), deletes: [objectKey(object)] });
    return made;
  }

  /** Reads all rows, and learns what objects of lives that are over are still for, and what was left half done. */
  async #look(): Promise<void> {
    const { meta, objects, life } = this.#environment;
    const stored: { readonly object: string; readonly life: string; readonly strayed: boolean }[] = [];
    const own = new Set<string>();
    for await (const entry of meta.rows(OBJECT_PREFIX)) {
      const row = objectCodec.decode(entry.value, entry.key);
      const object = entry.key.slice(OBJECT_PREFIX.length);
      if (objects.isOwnFile(object)) own.add(object);
      // of this life: those about which everything has been committed
      if (row.state === 'stored' && (row.life !== life.name || objects.isKnown(object)))
        stored.push({ object, life: row.life, strayed: row.strayed === true });
    }
    const alive = await this.#livesGoingOn();
    const references = await this.#references(alive);
    for (const { object, life: its, strayed } of stored) {
      if ((its !== life.name && alive.has(its)) || own.has(object)) continue;
      if (strayed && !objects.isKnown(object)) this.#environment.strayed(object);
      objects.stored(object, references.users.get(object) ?? []);
    }
    for (const [uid, left] of references.leftovers) await this.#compaction.dropRuns(uid, left);
    for (const { id, bytes } of references.sealed) this.#compaction.add(id, bytes);
  }

  async #references(alive: ReadonlySet<string>): Promise<References> {
    const { meta } = this.#environment;
    const users = new Map<string, Set<string>>();
    const use = (object: string, uid: string): void => {
      const known = users.get(object);
      if (known === undefined) users.set(object, new Set([uid]));
      else known.add(uid);
    };
    const runs = new Map<string, { readonly object: string; readonly base: number; readonly bytes: number }[]>();
    for await (const entry of meta.rows(POINTER_PREFIX)) {
      const { object, base, bytes } = pointerCodec.decode(entry.value, entry.key);
      const uid = entry.key.slice(POINTER_PREFIX.length, entry.key.lastIndexOf('/'));
      use(object, uid);
      const known = runs.get(uid);
      if (known === undefined) runs.set(uid, [{ object, base, bytes }]);
      else known.push({ object, base, bytes });
    }
    const sealed: { readonly id: string; readonly bytes: number }[] = [];
    for await (const entry of meta.rows(SEGMENT_PREFIX)) {
      const row = segmentCodec.decode(entry.value, entry.key);
      if (row.place !== undefined) {
        use(row.place.object, row.uid);
        continue;
      }
      if (row.stateObject !== undefined) use(row.stateObject.object, row.uid);
      const bytes = (runs.get(row.uid) ?? []).reduce((sum, run) => sum + run.bytes, 0);
      if (row.end >= 0 && !alive.has(row.life)) sealed.push({ id: entry.key.slice(SEGMENT_PREFIX.length), bytes });
      runs.delete(row.uid);
    }
    return { users, leftovers: runs, sealed };
  }

  /** What lives that are over may have put, without a row that leads to it. */
  async #deleteOrphans(requests: number, signal: AbortSignal): Promise<number> {
    const { meta, clock } = this.#environment;
    let used = 0;
    const dead = await this.#deadLives();
    // done, here or by another node
    for (const name of this.#swept.keys()) if (!dead.has(name)) this.#swept.delete(name);
    for (const [name, row] of dead) {
      if (clock.wall() - row.fencedAt < this.#orphanGraceMs) continue;
      try {
        const swept = this.#swept.get(name) ?? new Set();
        this.#swept.set(name, swept);
        for (const object of await this.#orphansOf(name, row)) {
          if (swept.has(object)) continue;
          if (used >= requests || signal.aborted) return used;
          used += await this.#delete(object);
          swept.add(object);
        }
        const { files, store, names } = this.#environment;
        if (files !== undefined) {
          if (used >= requests || signal.aborted) return used;
          used++;
          await store.deleteFolder(names.keyOf(workFolder(name, row.uid)), { lane: 'upkeep' });
        }
        await meta.commit({ id: this.#environment.random.uuid(), deletes: [`${DEAD_PREFIX}${name}`] });
      } catch (error) {
        if (isStorageError(error, 'CLOSED')) return used;
        // another life's may be deleted all the same
        this.#environment.logger.warn({ life: name, err: error }, 'what a life left could not be deleted yet');
      }
    }
    return used;
  }

  /** Numbers that it had, of which nothing was stored as far as Meta knows, and what it had planned. */
  async #orphansOf(name: string, { uid, settled, reserved }: DeadRow): Promise<string[]> {
    const { meta } = this.#environment;
    const orphans = new Set(probeObjects(name, uid));
    for (let number = settled; number < reserved; number++) orphans.add(logObject(name, uid, number));
    for await (const entry of meta.rows(OBJECT_PREFIX)) {
      const row = objectCodec.decode(entry.value, entry.key);
      if (row.life !== name) continue;
      const object = entry.key.slice(OBJECT_PREFIX.length);
      if (row.state === 'planned') orphans.add(object);
      else orphans.delete(object);
    }
    return [...orphans];
  }

  async #deadLives(): Promise<Map<string, DeadRow>> {
    const found = new Map<string, DeadRow>();
    for await (const entry of this.#environment.meta.rows(DEAD_PREFIX))
      found.set(entry.key.slice(DEAD_PREFIX.length), deadCodec.decode(entry.value, entry.key));
    return found;
  }

  async #livesGoingOn(): Promise<Set<string>> {
    const alive = new Set<string>();
    for await (const entry of this.#environment.meta.rows(LIFE_PREFIX)) {
      const { life, uid } = lifeCodec.decode(entry.value, entry.key);
      if (uid !== '') alive.add(`${entry.key.slice(LIFE_PREFIX.length)}-${life}`);
    }
    return alive;
  }

  /** A node that was not seen for long is gone for good, or asleep: if it wakes up it finds itself fenced. */
  async #endLostLives(): Promise<void> {
    const { meta, clock, random, life } = this.#environment;
    for await (const entry of meta.rows(SEEN_PREFIX)) {
      const node = Number(entry.key.slice(SEEN_PREFIX.length));
      if (life.name.startsWith(`${node}-`)) continue;
      if (clock.wall() - seenCodec.decode(entry.value, entry.key).at < LOST_AFTER_MS) continue;
      const found = await meta.get(lifeKey(node));
      if (found === undefined || lifeCodec.decode(found.value, found.key).uid === '') continue;
      await endLife({ meta, node, random, clock });
    }
  }
}
