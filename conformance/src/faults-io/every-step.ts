import { describeError, isStorageError, type StorageEngine } from '@robustmq/core';
import type { StepFault } from '@robustmq/core/testing';
import { type EngineTrial, NotClaimed } from '../check.ts';
import { inTime, outcomeOf } from './ledger.ts';
import { DirectoryPlace, LinkPlace, type Place } from './place.ts';
import { Workload } from './workload.ts';

/** Each with a directory of its own. */
const RUNS_AT_ONCE = 4;
/** No engine needs as many for so little work: one that does is counted up to here. */
const MOST_STEPS = 2000;

/**
 * Runs the workload once for each step of its I/O, with that step going wrong; then opens again, after a close and after a crash by turns, and
 * looks at what is there. The steps of two runs need not be the same ones, since threads and timers have their part in them: it ends at the first
 * step that twice was not reached.
 */
export async function failEachStep(trial: EngineTrial, fault: StepFault): Promise<void> {
  const { definition, harness } = trial;
  if (harness.link !== undefined && (fault.how === 'forgotten' || fault.code === 'ENOSPC') && fault.how !== 'short')
    throw new NotClaimed('a connection knows neither full disks nor failed syncs');
  let run = 0;
  const place = (): Place => placeOf(trial, run++);
  const steps = await countSteps(trial, place());
  if (steps === 0) {
    trial.note({ faultSteps: 'n/a' });
    throw new NotClaimed('its I/O goes neither through ctx.fs nor through a link');
  }
  let next = 1;
  let tried = 0;
  let end = MOST_STEPS + 1;
  const worker = async (): Promise<void> => {
    while (next < end) {
      const nth = next++;
      const once = async (): Promise<boolean> => {
        try {
          return await runWith(place(), definition.capabilities.append, {
            nth,
            fault,
            crash: nth % 2 === 1 && harness.canCrash,
          });
        } catch (error) {
          end = 0;
          const why = isStorageError(error) ? describeError(error) : error instanceof Error ? error.message : error;
          throw new Error(`step ${nth} of about ${steps} ${describe(fault)}: ${why}`, { cause: error });
        }
      };
      if ((await once()) || (await once())) tried++;
      else end = Math.min(end, nth);
    }
  };
  const atOnce = harness.link === undefined ? RUNS_AT_ONCE : 1;
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const result of ended) if (result.status === 'rejected') throw result.reason;
  trial.note({ faultSteps: { tried, of: end - 1 } });
  if (tried === 0) throw new NotClaimed('it has no such step');
}

/** A fresh place for one run. @throws NotClaimed when the harness has no way to spoil any I/O */
export function placeOf({ harness }: EngineTrial, run: number): Place {
  const { link, workshop } = harness;
  if (link !== undefined) return new LinkPlace(harness, link, run);
  if (workshop !== undefined) return new DirectoryPlace(workshop);
  throw new NotClaimed('the harness has neither a workshop nor a link');
}

async function countSteps({ definition }: EngineTrial, place: Place): Promise<number> {
  try {
    const engine = await place.open();
    const workload = new Workload(place.prefix, definition.capabilities.append);
    await workload.run(engine);
    await engine.close();
    return place.steps();
  } finally {
    await place.dispose();
  }
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
