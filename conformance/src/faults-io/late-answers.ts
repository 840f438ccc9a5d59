import { type StorageEngine, systemClock } from '@robustmq/core';
import { type EngineTrial, NotClaimed } from '../check.ts';
import type { FlakyLink } from '../faults-net/flaky-link.ts';
import { pause } from '../resources.ts';
import { countSteps, eachOf, noRequests, UntilTime } from './every-step.ts';
import { inTime, outcomeOf, whyOf } from './ledger.ts';
import { LinkPlace } from './place.ts';
import { Workload } from './workload.ts';

/** An engine that waits longer than this for an answer is not tried. Less than a call may take. */
const HELD_MS = 6000;
/** How long requests are held, one after the other in no order; times the effort. */
const BOX_MS = 15_000;
const POLL_MS = 10;

/** What comes late, and when. A request may outlive the instance that has sent it; its answer has nobody to go to then. */
const WAYS = ['a request', 'an answer', 'a request of a killed instance'] as const;
type Way = (typeof WAYS)[number];

/** `late`: it came after the engine had given it up. */
type Came = 'late' | 'while it waited' | 'never';

/**
 * Runs the workload with one request, or its answer, held back until the engine has given it up and gone on; then lets go, while the same instance goes on, or when another one
 * has taken over all that there is.
 */
export async function comeLate(trial: EngineTrial): Promise<void> {
  const { definition, harness, random } = trial;
  const { link } = harness;
  if (link === undefined) throw new NotClaimed('nothing of this goes through a link');
  let run = 0;
  const place = (): LinkPlace => new LinkPlace(harness, link, run++);
  const { all } = await countSteps(trial, place(), { how: 'held' });
  if (all === 0) throw noRequests();
  const ways = WAYS.slice(0, harness.canCrash ? 3 : 2);
  const seen: Record<Came, number> = { late: 0, 'while it waited': 0, never: 0 };
  for (const nth of eachOf(new UntilTime(all, trial, BOX_MS))) {
    const way = ways[Math.floor(random.next() * ways.length)] ?? WAYS[0];
    const late = new LateRun(place(), link, definition.capabilities.append);
    try {
      seen[await late.run(nth, way)]++;
    } catch (error) {
      throw new Error(`${way}, number ${nth} of about ${all}, ${late.came}: ${whyOf(error)}`, { cause: error });
    }
  }
  if (seen.late === 0)
    throw new NotClaimed(
      seen['while it waited'] > 0
        ? `it waits longer than ${HELD_MS / 1000} s for an answer: with a shorter time-out in the settings for the suite it would be looked at`
        : 'none of the requests that were to be held back was made, or one that was never arrived',
    );
  trial.note({ lateRequests: { tried: seen.late, of: Math.max(seen.late, all) } });
}

class LateRun {
  readonly #place: LinkPlace;
  readonly #link: FlakyLink;
  readonly #workload: Workload;
  /** For people: what had become of it when something went wrong. */
  came = 'held back';

  constructor(place: LinkPlace, link: FlakyLink, appends: boolean) {
    this.#place = place;
    this.#link = link;
    this.#workload = new Workload(place.prefix, appends);
  }

  async run(nth: number, way: Way): Promise<Came> {
    const before = this.#link.arrived;
    const hits = this.#link.fail(nth, { how: way === 'an answer' ? 'delay' : 'delay-request' });
    const held = new Held(this.#link, hits);
    try {
      const opened = await outcomeOf('open', this.#place.open());
      const engine = opened.came === 'done' ? opened.value : undefined;
      if (engine !== undefined) await this.#workload.run(engine);
      if (way === 'a request of a killed instance' && hits() > 0) await this.#takesOver(held);
      else await this.#goesOn(engine, hits, held);
      if (hits() === 0) return 'never';
      if (held.end()) return 'while it waited';
      return way === 'an answer' || this.#link.arrived > before ? 'late' : 'never';
    } finally {
      held.end();
      await this.#place.dispose();
    }
  }

  async #goesOn(engine: StorageEngine | undefined, hits: () => number, held: Held): Promise<void> {
    if (engine !== undefined) {
      // else it may be one that is made in the end
      if (hits() > 0) {
        await this.#letGo(held);
        await this.#workload.goOn(engine);
      }
      await outcomeOf('close', engine.close());
    }
    await this.#letGo(held);
    await this.#reopen();
  }

  async #takesOver(held: Held): Promise<void> {
    held.end();
    const again = await inTime('open', this.#place.reopen(true));
    await this.#workload.verify(again);
    await this.#letGo(held);
    await this.#workload.verify(again);
    await inTime('close', again.close());
    // what it had in memory hides what has become of the rest
    await this.#reopen();
  }

  async #reopen(): Promise<void> {
    const again = await inTime('open', this.#place.reopen(false));
    await this.#workload.verify(again);
    await inTime('close', again.close());
  }

  /** All that was held has had its effect, or never will. */
  async #letGo(held: Held): Promise<void> {
    held.end();
    this.#link.heal();
    this.came = 'let go after it had been given up';
    while (this.#link.held > 0) await pause(POLL_MS);
  }
}

/** Lets go of what is held when the engine has waited for it for long. */
class Held {
  #isOver = false;
  #wasWaitedFor = false;

  constructor(link: FlakyLink, hits: () => number) {
    void this.#watch(link, hits);
  }

  /** @returns whether the engine has waited until it was let go */
  end(): boolean {
    this.#isOver = true;
    return this.#wasWaitedFor;
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
