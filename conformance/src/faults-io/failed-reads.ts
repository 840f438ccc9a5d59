import assert from 'node:assert/strict';
import { join } from 'node:path';
import { nodeFileSystem, type StorageEngine, systemClock } from '@robustmq/core';
import { type DiskImage, FaultPlan, faultyFileSystem, READS, RecordedLog } from '@robustmq/core/testing';
import { type EngineTrial, NotClaimed, type Workshop } from '../check.ts';
import { inParallel } from '../faults/in-parallel.ts';
import { RecordedMeta } from '../faults/recorded-meta.ts';
import { withScratch } from '../faults/scratch.ts';
import { shuffled } from '../faults/shuffled.ts';
import { readImage } from '../faults/write-image.ts';
import type { FlakyLink } from '../faults-net/flaky-link.ts';
import { inTime, outcomeOf, whyOf } from './ledger.ts';
import { DirectoryPlace, LinkPlace, type Place } from './place.ts';
import { Workload } from './workload.ts';

/** How long reads are made to fail, one after the other in no order; times the effort. */
const BOX_MS = 2500;

/**
 * Opens an engine on what was acknowledged and asks it for everything, once for each read that it makes for that, with that one failing; then once
 * more with nothing in its way. Over a connection, where nobody knows which request only reads, any of them fails.
 */
export async function failEachRead(trial: EngineTrial): Promise<void> {
  const { link, workshop } = trial.harness;
  if (link !== undefined) await failAll(trial, linkStart(trial, link), ONE_AT_A_TIME);
  else if (workshop !== undefined)
    await withScratch(async (dir) => failAll(trial, await directoryStart(trial, workshop, dir), RUNS_AT_ONCE));
  else throw new NotClaimed('the harness has neither a workshop nor a link');
}

const RUNS_AT_ONCE = 4;
/** The service is one for all of them. */
const ONE_AT_A_TIME = 1;

/** A place where everything was acknowledged, and the record of that. The instance that did it is gone. */
interface Acknowledged {
  readonly place: Place;
  readonly workload: Workload;
  readonly incarnation: string;
  /** The instance whose reads fail. */
  open(): Promise<StorageEngine>;
}

const NOT_EVEN = 'it does not do what is asked of it with nothing in its way: other checks tell why';

type Start = () => Promise<Acknowledged>;

async function failAll({ random, effort, harness, note }: EngineTrial, start: Start, atOnce: number): Promise<void> {
  const reads = await countReads(start);
  if (reads === 0) {
    note({ failedReads: 'n/a' });
    throw new NotClaimed('it reads neither through ctx.fs nor through a link, or what it keeps lies elsewhere');
  }
  let tried = 0;
  const until = systemClock.monotonic() + BOX_MS * effort;
  const numbers = shuffled(
    Array.from({ length: reads }, (_, i) => i + 1),
    random,
  );
  await inParallel(
    numbers,
    async (nth) => {
      if (tried > 0 && systemClock.monotonic() >= until) return;
      const once = async (): Promise<boolean> => {
        try {
          return await failOne(await start(), nth, nth % 2 === 1 && harness.canCrash);
        } catch (error) {
          throw new Error(`read ${nth} of about ${reads} failed with EIO: ${whyOf(error)}`, { cause: error });
        }
      };
      // the reads of two runs need not be the same ones
      if ((await once()) || (await once())) tried++;
    },
    atOnce,
  );
  note({ failedReads: { tried, of: reads } });
  if (tried === 0) throw new NotClaimed('none of its reads could be made to fail');
}

/** @returns 0 also where not all is there with nothing in its way: it lies somewhere else, or other checks have something to say of that */
async function countReads(start: Start): Promise<number> {
  const { place, workload, open } = await start();
  try {
    const before = place.steps(READS);
    const engine = await inTime('open', open());
    await workload.ask(engine);
    await inTime('close', engine.close());
    return place.steps(READS) - before;
  } catch {
    return 0;
  } finally {
    await place.dispose();
  }
}

/** @returns whether the read failed as planned */
async function failOne(
  { place, workload, incarnation, open }: Acknowledged,
  nth: number,
  crash: boolean,
): Promise<boolean> {
  try {
    const hits = place.arm(nth, { how: 'error', code: 'EIO', of: READS });
    const opened = await outcomeOf('open', open());
    if (opened.came === 'done') {
      assert.equal(opened.value.incarnation, incarnation, 'the name of the medium');
      await workload.ask(opened.value);
      if (!crash) await outcomeOf('close', opened.value.close());
    }
    place.heal();
    const again = await inTime('open', place.reopen(crash));
    assert.equal(again.incarnation, incarnation, 'the name of the medium, after another start');
    await workload.verify(again);
    await inTime('close', again.close());
    return hits() > 0;
  } finally {
    await place.dispose();
  }
}

/** All runs share the service, so each writes segments of its own first. */
function linkStart({ definition, harness }: EngineTrial, link: FlakyLink): Start {
  let run = 0;
  return async () => {
    const place = new LinkPlace(harness, link, run++);
    const workload = new Workload(place.prefix, definition.capabilities.append);
    const engine = await inTime('open', place.open());
    await workload.run(engine);
    if (!workload.isDone) throw new NotClaimed(NOT_EVEN);
    const { incarnation } = engine;
    return { place, workload, incarnation, open: () => place.reopen(harness.canCrash) };
  };
}

/** Written once, copied for each run. */
async function directoryStart({ definition, harness }: EngineTrial, workshop: Workshop, dir: string): Promise<Start> {
  const plan = new FaultPlan();
  const meta = new RecordedMeta(new RecordedLog());
  const root = join(dir, 'instance');
  const fs = faultyFileSystem(nodeFileSystem, plan);
  const { instance, unlock } = await workshop.open({ dir: root, meta, fs });
  const { incarnation } = instance.engine;
  const workload = new Workload('', definition.capabilities.append);
  let image: DiskImage;
  let commits: number;
  try {
    await workload.run(instance.engine);
    if (!workload.isDone) throw new NotClaimed(NOT_EVEN);
    // one that was not closed has most to read at its next start
    if (harness.canCrash) await plan.cut();
    else await instance.close();
    image = await readImage(root);
    commits = meta.commits;
  } finally {
    // an abandoned one only lets go of its threads and descriptors
    await inTime('close', instance.close()).catch(() => {});
    await unlock();
  }
  return async () => {
    const place = new DirectoryPlace(workshop, { image, meta: await meta.after(commits) });
    return { place, workload: workload.copy(), incarnation, open: () => place.open() };
  };
}
