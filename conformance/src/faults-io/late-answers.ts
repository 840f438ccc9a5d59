import { describeError, isStorageError, systemClock } from '@robustmq/core';
import { type EngineTrial, NotClaimed } from '../check.ts';
import { shuffled } from '../faults/shuffled.ts';
import type { FlakyLink, LinkFault } from '../faults-net/flaky-link.ts';
import { pause } from '../resources.ts';
import { countSteps, MOST_STEPS } from './every-step.ts';
import { inTime, outcomeOf, patience } from './ledger.ts';
import { LinkPlace } from './place.ts';
import { Workload } from './workload.ts';

/** An engine that waits longer than this for an answer is not tried. Less than a call may take. */
const HELD_MS = 6000;
/** How long requests are held, one after the other in no order; times the effort. */
const BOX_MS = 15_000;
const POLL_MS = 10;

type Came = 'late' | 'while it waited' | 'not reached';

/**
 * Runs the workload with one request, or its answer, held back until the engine has given it up and gone on; then lets go. By turns that is while the same instance
 * lives, or when another one, after a crash, has taken over all that there is.
 */
export async function comeLate(trial: EngineTrial): Promise<void> {
  const { definition, harness, random, effort } = trial;
  const { link } = harness;
  if (link === undefined) throw new NotClaimed('nothing of this goes through a link');
  let run = 0;
  const place = (): LinkPlace => new LinkPlace(harness, link, run++);
  const { all } = await countSteps(trial, place(), { how: 'held' });
  const numbers = shuffled(
    Array.from({ length: Math.min(all, MOST_STEPS) }, (_, i) => i + 1),
    random,
  );
  const until = systemClock.monotonic() + BOX_MS * effort;
  let tried = 0;
  for (const nth of numbers) {
    if (run > 1 && systemClock.monotonic() >= until) break;
    const how = random.next() < 0.5 ? 'delay-request' : 'delay';
    const crash = harness.canCrash && random.next() < 0.5;
    try {
      const came = await runWith(place(), link, { nth, how, crash, appends: definition.capabilities.append });
      if (came === 'late') tried++;
    } catch (error) {
      const what = how === 'delay' ? 'answered' : 'carried out';
      const when = crash ? 'when another instance had taken over' : 'after it was given up';
      const why = isStorageError(error) ? describeError(error) : error instanceof Error ? error.message : error;
      throw new Error(`request ${nth} of about ${all} was ${what} ${when}: ${why}`, { cause: error });
    }
  }
  if (tried === 0)
    throw new NotClaimed(
      `it waits longer than ${HELD_MS / 1000} s for an answer: with a shorter time-out in the settings for the suite it would be looked at`,
    );
  trial.note({ faultSteps: { tried, of: Math.max(tried, all) } });
}

async function runWith(
  place: LinkPlace,
  link: FlakyLink,
  {
    nth,
    how,
    crash,
    appends,
  }: { readonly nth: number; readonly how: LinkFault['how']; readonly crash: boolean; readonly appends: boolean },
): Promise<Came> {
  const hits = link.fail(nth, { how });
  const held = new Held(link, hits);
  try {
    const workload = new Workload(place.prefix, appends);
    const opened = await outcomeOf('open', place.open());
    if (opened.came === 'done') await workload.run(opened.value);
    const isLate = held.end() && hits() > 0;
    if (crash && isLate) {
      const again = await inTime('open', place.reopen(true));
      await workload.verify(again);
      await letGo(link);
      await workload.verify(again);
      await inTime('close', again.close());
    } else {
      if (opened.came === 'done') await outcomeOf('close', opened.value.close());
      await letGo(link);
      const again = await inTime('open', place.reopen(false));
      await workload.verify(again);
      await inTime('close', again.close());
    }
    return hits() === 0 ? 'not reached' : isLate ? 'late' : 'while it waited';
  } finally {
    held.end();
    await place.dispose();
  }
}

/** Lets go of what is held when the engine has waited for it for long. */
class Held {
  #isOver = false;
  #wasWaitedFor = false;

  constructor(link: FlakyLink, hits: () => number) {
    void this.#watch(link, hits);
  }

  /** @returns whether it is held still */
  end(): boolean {
    this.#isOver = true;
    return !this.#wasWaitedFor;
  }

  async #watch(link: FlakyLink, hits: () => number): Promise<void> {
    let since: number | undefined;
    while (!this.#isOver) {
      if (hits() > 0) since ??= systemClock.monotonic();
      if (since !== undefined && systemClock.monotonic() >= since + HELD_MS) {
        this.#wasWaitedFor = true;
        link.heal();
        return;
      }
      await pause(POLL_MS);
    }
  }
}

/** All that was held has had its effect, or never will. */
async function letGo(link: FlakyLink): Promise<void> {
  link.heal();
  const until = systemClock.monotonic() + patience.hangsAfterMs;
  while (link.held > 0 && systemClock.monotonic() < until) await pause(POLL_MS);
}
