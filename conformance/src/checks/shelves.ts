import assert from 'node:assert/strict';
import {
  type ArchivePlace,
  type ArchiveReader,
  type ArchiveShelf,
  headerDigest,
  openArchive,
  type ShelvedSegment,
  type StorageEngine,
  silentLogger,
  systemClock,
  systemRandom,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import { bodyOf, logOf, readAll } from '../batches.ts';
import { type Check, type EngineTrial, NotClaimed, type Workshop } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { withScratch } from '../faults/scratch.ts';
import { inTime } from '../faults-io/ledger.ts';
import { chunks, fill, hold, ones, open } from './segments.ts';

const BASE = 100;
const BATCHES = 40;
const EPOCH = 3;
const LARGE_MANIFEST_BYTES = 3 * 1024 * 1024;

export const shelfChecks: readonly Check[] = [
  {
    id: 'SHARD-292',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'let what it has shelved be read with nothing but the store, if it has a `shelf`',
    why: 'An archive is read on the day on which all else is gone. A place that needs a row of Meta, a cache or the process that gave it leads nowhere then.',
    run: (trial) =>
      withShelf(trial, async (shop) => {
        const segments = await shop.alive(async (engine, shelf) => {
          const made = await shelve(trial, engine, shelf);
          await refused(shelf.place('never'), ['SEGMENT_UNKNOWN', 'SEGMENT_LOST']);
          if (trial.definition.capabilities.append) {
            await fill(await open(engine, { id: 'open' }), 2);
            await refused(shelf.place('open'), 'SEGMENT_NOT_SEALED');
          }
          return made;
        });
        await shop.read(async (archive) => {
          for (const segment of segments) await assertShelved(archive, segment);
          const lying = new Set<string>();
          for await (const { name, bytes, putAt } of archive.objects()) {
            lying.add(name);
            assert.ok(bytes > 0 && putAt > 0, `object ${name} has ${bytes} bytes, and was put there at ${putAt}`);
          }
          for (const { id, place } of segments)
            assert.ok(lying.has(archive.objectOf(place)), `what holds ${id} is not among the objects that lie there`);
        });
        // another life gives the same
        await shop.alive(async (_, shelf) => {
          for (const { id, place } of segments)
            assert.deepEqual(await asJson(shelf.place(id)), place, `the place of ${id} after a restart`);
        });
      }),
  },
  {
    id: 'SHARD-293',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'keep manifests whole, in the order of their numbers, and take one again that it has, if it has a `shelf`',
    why: 'The newest manifest is what a restore believes. One that is half there, or that a retry turned into another, loses what only it named.',
    run: (trial) =>
      withShelf(trial, async (shop) => {
        const large = Buffer.alloc(LARGE_MANIFEST_BYTES, 'manifest ');
        const bytesOf = (number: number): Buffer => (number === 10 ? large : Buffer.from(`manifest ${number}`));
        await shop.alive(async (_, shelf) => {
          for (const number of [1, 2, 9, 10, 11]) await shelf.putManifest(number, bytesOf(number));
          for (const number of [2, 10]) await shelf.putManifest(number, bytesOf(number));
          for (const number of [9, 9, 7]) await shelf.deleteManifest(number);
        });
        await shop.read(async (archive) => {
          assert.deepEqual(await archive.manifests({ limit: 100 }), [1, 2, 10, 11]);
          assert.deepEqual(await archive.manifests({ limit: 2 }), [1, 2]);
          assert.deepEqual(await archive.manifests({ after: 2, limit: 1 }), [10]);
          assert.deepEqual(await archive.manifests({ after: 11, limit: 1 }), []);
          for (const number of [1, 2, 10, 11])
            assert.ok(
              bytesOf(number).equals(await archive.readManifest(number)),
              `manifest ${number} came back changed`,
            );
        });
      }),
  },
  {
    id: 'SHARD-294',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'give an instance on an empty Meta what its store holds, where it lies, if it has a `shelf`',
    why: 'A restore that would copy a year of data is no restore; one that was cut off half-way is made again, over what it has left.',
    run: (trial) =>
      withShelf(trial, async (shop) => {
        const segments = await shop.alive((engine, shelf) => shelve(trial, engine, shelf));
        const meta = new MemoryMeta();
        const part = shop.workshop.partOf(meta);
        const incarnation = await shop.read(async (archive) => {
          await archive.adopt(part, segments.slice(0, 1));
          return (await archive.adopt(part, segments)).incarnation;
        });
        await shop.alive(async (engine) => {
          assert.equal(engine.incarnation, incarnation, 'the incarnation of the instance that adopted');
          const listed = await engine.list({ prefix: '', limit: 100 });
          assert.deepEqual(listed, segments.map(({ id }) => id).sort());
          for (const { id, state, bodies } of segments) {
            const reader = await engine.openReader(id);
            assert.deepEqual(new Uint8Array(await reader.state()), state);
            assertHolds(await readAll(logOf(reader)), BASE, bodies);
            await reader.close();
          }
        }, meta);
      }),
  },
];

interface Shelved extends ShelvedSegment {
  readonly state: Uint8Array;
  readonly bodies: Buffer[];
}

/** Segments that were taken in and, where the engine writes, one that was written and sealed. */
async function shelve({ definition }: EngineTrial, engine: StorageEngine, shelf: ArchiveShelf): Promise<Shelved[]> {
  const made = ones(BATCHES, { base: BASE, valueBytes: 700 });
  const state = new Uint8Array([3, 1, 4]);
  const end = BASE + BATCHES;
  const ids = ['in-1', 'in-2'];
  for (const id of ids) await engine.ingest(id, { base: BASE, end, epoch: EPOCH, state, uid: id }, chunks(...made));
  if (definition.capabilities.append) {
    const writer = await hold({ engine, definition }, made, { id: 'written', base: BASE, epoch: EPOCH, state });
    await writer.seal?.();
    await writer.close();
    ids.push('written');
  }
  return await Promise.all(
    ids.map(async (id) => ({
      id,
      base: BASE,
      end,
      epoch: EPOCH,
      bytes: made.reduce((sum, { length }) => sum + length, 0),
      crc: made.reduce((crc, bytes) => headerDigest(crc, bytes), 0),
      place: await asJson(shelf.place(id)),
      state,
      bodies: made.map(bodyOf),
    })),
  );
}

/** As a manifest keeps it. */
async function asJson(place: Promise<ArchivePlace>): Promise<ArchivePlace> {
  return JSON.parse(JSON.stringify(await place)) as ArchivePlace; // JSON of one
}

async function assertShelved(archive: ArchiveReader, { id, base, end, place, state, bodies }: Shelved): Promise<void> {
  const reader = await inTime('openReader', archive.openReader(place));
  assert.deepEqual(reader.offsets(), { base, committed: end, end, sealed: true }, `offsets of ${id} in the archive`);
  assert.deepEqual(new Uint8Array(await reader.state()), state, `the state of ${id} in the archive`);
  assertHolds(await readAll(logOf(reader)), base, bodies);
  await reader.close();
}

interface Shop {
  readonly workshop: Workshop;
  /** With an instance that is open meanwhile; on another Meta than that of those before it where one is given. */
  alive<T>(use: (engine: StorageEngine, shelf: ArchiveShelf) => Promise<T>, meta?: MemoryMeta): Promise<T>;
  /** With the store alone. */
  read<T>(use: (archive: ArchiveReader) => Promise<T>): Promise<T>;
}

/** @throws NotClaimed when the engine has none */
async function withShelf({ definition, harness }: EngineTrial, use: (shop: Shop) => Promise<void>): Promise<void> {
  const { workshop } = harness;
  if (workshop === undefined) throw new NotClaimed('the harness has no workshop');
  if (harness.engine.shelf === undefined && definition.openArchive === undefined)
    throw new NotClaimed('it has no shelf');
  assert.ok(
    harness.engine.shelf !== undefined && definition.openArchive !== undefined,
    'it has one of `shelf` and `openArchive`, and not the other',
  );
  const first = new MemoryMeta();
  const config = workshop.configOn(first);
  await withScratch((dir) =>
    use({
      workshop,
      alive: async (does, meta = first) => {
        const { instance, unlock } = await inTime('open', workshop.open({ dir, meta, config }));
        try {
          const { engine } = instance;
          assert.ok(engine.shelf !== undefined, 'an instance of it has no shelf');
          return await does(engine, engine.shelf);
        } finally {
          await inTime('close', instance.close());
          await unlock();
        }
      },
      read: async (does) => {
        const ctx = { config, clock: systemClock, random: systemRandom, logger: silentLogger };
        const archive = await openArchive(definition, 'archive', { ...ctx, signal: new AbortController().signal });
        try {
          return await does(archive);
        } finally {
          await archive.close();
        }
      },
    }),
  );
}
