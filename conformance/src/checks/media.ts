import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type EngineCapabilities, isStorageError, nodeFileSystem, type StorageEngine } from '@robustmq/core';
import { FaultPlan, faultyFileSystem, MemoryMeta } from '@robustmq/core/testing';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { type Check, durable, type EngineTrial, NotClaimed, type Workshop } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { withScratch } from '../faults/scratch.ts';
import { inTime } from '../faults-io/ledger.ts';
import { CountedClock, eventually, openFileNames, openFiles } from '../resources.ts';
import { chunks } from './segments.ts';

/** More than what comes and goes by itself: a thread's event loop has some descriptors for a while. */
const FAILED_OPENS = 15;
const OF_OTHERS = 10;
/** After so many of them the same directory is opened again: it is not locked any more. */
const OPENED_AGAIN = 3;

export const mediaChecks: readonly Check[] = [
  {
    id: 'SHARD-276',
    level: 'MUST',
    area: 'durability',
    subject: 'engine',
    promise: 'never go by the old name when its directory was emptied',
    why: 'A disk that was not mounted, or was replaced, is an empty directory. A replica that came back with one under its old name was believed when it said that it had never had the data.',
    claimed: ownsItsDirectory,
    run: (trial) =>
      inDirectory(trial, async (dir, workshop) => {
        const meta = new MemoryMeta();
        const before = await workshop.open({ dir, meta });
        const kept = await ingestOne(before.instance.engine, 'kept');
        await inTime('close', before.instance.close());
        await before.unlock();
        await refuseNothingThere(dir);
        for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true });
        let opened: Awaited<ReturnType<Workshop['open']>>;
        try {
          opened = await inTime('open', workshop.open({ dir, meta }));
        } catch (error) {
          assert.ok(isStorageError(error, 'INSTANCE_CHANGED'), `INSTANCE_CHANGED was wanted, it was ${String(error)}`);
          return;
        }
        // so it has its data elsewhere
        try {
          const reader = await opened.instance.engine.openReader('kept');
          assertHolds(await readAll(logOf(reader)), 0, [kept]);
          await reader.close();
        } finally {
          await inTime('close', opened.instance.close());
        }
      }),
  },
  {
    id: 'SHARD-277',
    level: 'MUST',
    area: 'durability',
    subject: 'engine',
    promise: 'refuse a directory that another instance has open, and take it once that one is closed',
    why: 'A service that is started twice, or again before it has ended, is an ordinary mistake. Two that both append to one file leave a log of which neither half is right.',
    claimed: ownsItsDirectory,
    run: (trial) =>
      inDirectory(trial, async (dir, workshop) => {
        const meta = new MemoryMeta();
        const first = await workshop.open({ dir, meta });
        try {
          await ingestOne(first.instance.engine, 'one');
          await refuseNothingThere(dir);
          const second = workshop.open({ dir, meta });
          // one that gets in is not to stay
          const closed = second.then(({ instance }) => instance.close()).catch(() => {});
          await refused(inTime('open', second), 'DIRECTORY_LOCKED', 'none');
          await closed;
          await ingestOne(first.instance.engine, 'two');
        } finally {
          await inTime('close', first.instance.close());
        }
        const again = await inTime('open', workshop.open({ dir, meta }));
        assert.deepEqual(await again.instance.engine.list({ prefix: '', limit: 10 }), ['one', 'two']);
        await inTime('close', again.instance.close());
      }),
  },
  {
    id: 'SHARD-278',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'hold no file, timer or directory when it could not be opened',
    why: 'A start that fails is tried again, by a person or a supervisor. What each attempt keeps is in the way of the one that would succeed.',
    timeoutMs: 60_000,
    claimed: (capabilities, harness) => durable(capabilities, harness) && openFiles() !== undefined,
    run: (trial) =>
      inDirectory(trial, async (parent, workshop) => {
        const clock = new CountedClock();
        const before = openFileNames();
        let failed = 0;
        for (let nth = 1, run = 0; failed < FAILED_OPENS; run++) {
          const dir = join(parent, `${run}`);
          if (await failsToOpen(workshop, { dir, nth, clock, again: failed < OPENED_AGAIN })) {
            failed++;
            nth++;
          } else if (nth > 1) nth = 1;
          else throw new NotClaimed('it does no I/O when it is opened that could be failed');
          assert.equal(clock.timers, 0, `timers that wait after step ${nth - 1} of a start has failed`);
        }
        const after = await eventually(openFileNames, ({ length }) => length <= before.length + OF_OTHERS);
        const more = after.filter((name) => !before.includes(name)).slice(0, 10);
        assert.ok(
          after.length <= before.length + OF_OTHERS,
          `${before.length} files were open, ${after.length} are after ${failed} starts that failed: ${more.join(', ')}`,
        );
      }),
  },
];

/** @returns false when it opened all the same */
async function failsToOpen(
  workshop: Workshop,
  { dir, nth, clock, again }: { dir: string; nth: number; clock: CountedClock; again: boolean },
): Promise<boolean> {
  const plan = new FaultPlan();
  plan.failStep(nth, { how: 'error' });
  let opened: Awaited<ReturnType<Workshop['open']>>;
  try {
    const fs = faultyFileSystem(nodeFileSystem, plan);
    opened = await inTime('open', workshop.open({ dir, meta: new MemoryMeta(), fs, clock }));
  } catch (error) {
    assert.ok(isStorageError(error), `a StorageError was wanted, it was ${String(error)}`);
    if (!again) return true;
    const { instance } = await inTime('open', workshop.open({ dir, meta: new MemoryMeta(), clock }));
    await inTime('close', instance.close());
    return true;
  }
  plan.release();
  await inTime('close', opened.instance.close());
  return false;
}

/** What a node of a cluster keeps in its directory is not what it stores. */
function ownsItsDirectory({ durability, placement }: EngineCapabilities): boolean {
  return placement === 'node' && durability !== 'none';
}

function inDirectory({ harness }: EngineTrial, run: (dir: string, workshop: Workshop) => Promise<void>): Promise<void> {
  const { workshop } = harness;
  if (workshop === undefined) throw new NotClaimed('the harness has no workshop');
  return withScratch((dir) => run(dir, workshop));
}

/** @throws NotClaimed when all that lies in the directory is its lock */
async function refuseNothingThere(dir: string): Promise<void> {
  const found = await readdir(dir);
  if (found.every((name) => name.startsWith('LOCK'))) throw new NotClaimed('it keeps nothing in its directory');
}

async function ingestOne(engine: StorageEngine, id: string): Promise<Buffer> {
  const bytes = batch({ tag: id });
  await engine.ingest(id, { base: 0, end: 1, epoch: 1, state: new Uint8Array(0), uid: 'u' }, chunks(bytes));
  return bodyOf(bytes);
}
