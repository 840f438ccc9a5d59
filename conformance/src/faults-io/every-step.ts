import { type StorageEngine, systemClock } from '@robustmq/core';
import type { StepFault } from '@robustmq/core/testing';
import { type EngineTrial, NotClaimed } from '../check.ts';
import { inParallel } from '../faults/in-parallel.ts';
import { goesPastTheSeam } from '../faults/recording.ts';
import { withScratch } from '../faults/scratch.ts';
import { shuffled } from '../faults/shuffled.ts';
import { inTime, outcomeOf, whyOf } from './ledger.ts';
import { DirectoryPlace, LinkPlace, type Place } from './place.ts';
import { Workload } from './workload.ts';

/** No engine needs as many for so little work: one that does is counted up to here. */
const MOST_STEPS = 2000;
/** Of the steps that were counted. Groups and timers make a few more or less of them, not half. */
const LEAST_REACHED = 0.5;
/** How long steps of one kind are tried where each is a request; times the effort. */
const LINK_BOX_MS = 10_000;

/**
 * Runs the workload once for each step of its I/O, with that step going wrong; then opens again, after a close and after a crash by turns, and
 * looks at what is there. The steps of two runs need not be the same ones, since threads and timers have their part in them: it ends at the first
 * step that twice was not reached, which is an error long before the last one counted. Over a connection, where a run takes longer, it tries as
 * many as time allows.
 */
export async function failEachStep(trial: EngineTrial, fault: StepFault): Promise<void> {
  const { definition, harness } = trial;
  if (harness.link !== undefined && (fault.how === 'forgotten' || fault.code === 'ENOSPC') && fault.how !== 'short')
    throw new NotClaimed('a connection knows neither full disks nor failed syncs');
  if (harness.link !== undefined && fault.how === 'short' && fault.code !== 'ENOSPC')
    throw new NotClaimed('a request that is cut off has no error of its own: SHARD-212 cuts each of them');
  let run = 0;
  const place = (): Place => placeOf(trial, run++);
  const { all, steps } = await countSteps(trial, place(), fault);
  if (all === 0) {
    if (harness.link !== undefined) throw noRequests();
    trial.note({ faultSteps: 'n/a' });
    throw new NotClaimed('its I/O goes neither through ctx.fs nor through a link');
  }
  if (await isPartOnly(trial))
    trial.note({
      faultsPastCtxFs: 'not tried: some of its I/O does not go through ctx.fs, and fault steps are of the rest',
    });
  const steady = harness.link === undefined ? new InOrder(steps) : new UntilTime(steps, trial, LINK_BOX_MS);
  let tried = 0;
  const tryStep = async (step: number): Promise<void> => {
    const once = async (): Promise<boolean> => {
      try {
        const crash = step % 2 === 1 && harness.canCrash;
        return await runWith(place(), definition.capabilities.append, { nth: step, fault, crash });
      } catch (error) {
        throw new Error(`step ${step} of about ${steps} ${describe(fault)}: ${whyOf(error)}`, { cause: error });
      }
    };
    if ((await once()) || (await once())) tried++;
    else steady.notReached(step);
  };
  await inParallel(eachOf(steady), tryStep, harness.link === undefined ? undefined : 1);
  // where none may be: one after the other
  steady.goOn();
  await inParallel(eachOf(steady), tryStep, 1);
  trial.note({ faultSteps: { tried, of: Math.max(tried, steps) } });
  if (harness.link === undefined && tried < Math.min(steps, MOST_STEPS) * LEAST_REACHED)
    throw new Error(
      `a run without faults made ${steps} of these steps, and only ${tried} could be reached in runs with a fault: most were never tried`,
    );
  if (tried === 0) throw new NotClaimed('it has no such step');
}

/** Which steps go wrong, one after the other. */
interface Steps {
  /** `undefined`: there are no more that were counted, or there is no more time. */
  next(): number | undefined;
  /** Past those that were counted, too. */
  goOn(): void;
  /** A run ended before this step twice. */
  notReached(nth: number): void;
}

export function* eachOf(steps: Steps): Generator<number> {
  for (let nth = steps.next(); nth !== undefined; nth = steps.next()) yield nth;
}

class InOrder implements Steps {
  #next = 1;
  #counted: number;
  #end = MOST_STEPS + 1;

  constructor(counted: number) {
    this.#counted = counted;
  }

  next(): number | undefined {
    return this.#next < this.#end && this.#next <= this.#counted ? this.#next++ : undefined;
  }

  goOn(): void {
    this.#counted = MOST_STEPS;
  }

  notReached(nth: number): void {
    this.#end = Math.min(this.#end, nth);
  }
}

/** Over a connection each run takes its time: those that are chosen by chance until it is over, all of them if it is long enough. */
export class UntilTime implements Steps {
  #left: number[];
  #isFirst = true;
  readonly #until: number;

  constructor(steps: number, { random, effort }: EngineTrial, boxMs: number) {
    this.#left = shuffled(
      Array.from({ length: Math.min(steps, MOST_STEPS) }, (_, i) => i + 1),
      random,
    );
    this.#until = systemClock.monotonic() + boxMs * effort;
  }

  next(): number | undefined {
    if (!this.#isFirst && systemClock.monotonic() >= this.#until) return undefined;
    this.#isFirst = false;
    return this.#left.pop();
  }

  goOn(): void {}

  notReached(): void {}
}

export function noRequests(): Error {
  return new Error('no request came through the link: the engine does not connect where its settings say');
}

/** A fresh place for one run. @throws NotClaimed when the harness has no way to spoil any I/O */
export function placeOf({ harness }: EngineTrial, run: number): Place {
  const { link, workshop } = harness;
  if (link !== undefined) return new LinkPlace(harness, link, run);
  if (workshop !== undefined) return new DirectoryPlace(workshop);
  throw new NotClaimed('the harness has neither a workshop nor a link');
}

/** Of one run: all, and those that the fault may strike. */
export async function countSteps(
  { definition }: EngineTrial,
  place: Place,
  { of }: StepFault,
): Promise<{ readonly all: number; readonly steps: number }> {
  try {
    const engine = await place.open();
    const workload = new Workload(place.prefix, definition.capabilities.append);
    await workload.run(engine);
    await engine.close();
    return { all: place.steps(), steps: place.steps(of) };
  } finally {
    await place.dispose();
  }
}

/** Whether what was counted is not all that it does to its directory. */
async function isPartOnly({ definition, harness }: EngineTrial): Promise<boolean> {
  const { link, workshop } = harness;
  if (link !== undefined || workshop === undefined) return false;
  return await withScratch((dir) =>
    goesPastTheSeam(workshop, dir, async ({ start }) => {
      await new Workload('', definition.capabilities.append).run(await start());
    }),
  );
}

/** @returns whether the step went wrong as planned */
async function runWith(
  place: Place,
  appends: boolean,
  { nth, fault, crash }: { readonly nth: number; readonly fault: StepFault; readonly crash: boolean },
): Promise<boolean> {
  try {
    const hits = place.arm(nth, fault);
    const workload = new Workload(place.prefix, appends);
    const opened = await outcomeOf('open', place.open());
    const engine: StorageEngine | undefined = opened.came === 'done' ? opened.value : undefined;
    if (engine !== undefined) await workload.run(engine);
    // what fails in `close` is seen only where there is one
    const abandon = crash && hits() > 0;
    if (engine !== undefined && !abandon) await outcomeOf('close', engine.close());
    place.heal();
    const again = await inTime('open', place.reopen(abandon));
    await workload.verify(again);
    await inTime('close', again.close());
    return hits() > 0;
  } finally {
    await place.dispose();
  }
}

function describe({ how, code = 'EIO' }: StepFault): string {
  return {
    error: `failed with ${code}`,
    short: `was cut short with ${code}`,
    forgotten: `failed with ${code} and lost what it was to sync`,
    lost: `was done and answered with ${code}`,
    held: 'was held',
    late: 'was answered late',
  }[how];
}
