import type { EngineHealth } from '../engine.ts';
import type { Clock, Timer } from '../world.ts';

/** Details change with each request that fails: a log wants to hear of the first, and then now and then of the latest. */
const SAY_AGAIN_MS = 10_000;

/** What an engine last said of its health. */
export class HealthBoard {
  last: EngineHealth = { status: 'ok', detail: '' };
  readonly #clock: Clock;
  readonly #say: (health: EngineHealth) => void;
  readonly #listeners: ((health: EngineHealth) => void)[] = [];
  #said = this.last;
  #silence: Timer | undefined;

  /** @param say hears of each new status at once, of new reasons for it at times */
  constructor(clock: Clock, say: (health: EngineHealth) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  report({ status, detail }: EngineHealth): void {
    this.last = { status, detail };
    for (const listener of this.#listeners) listener(this.last);
    if (status !== this.#said.status) {
      this.close();
      this.#sayNow();
    }
    if (status !== 'ok') this.#silence ??= this.#clock.timer(SAY_AGAIN_MS, () => this.#sayAgain());
  }

  listen(listener: (health: EngineHealth) => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    this.#silence?.cancel();
    this.#silence = undefined;
  }

  #sayAgain(): void {
    this.#silence = undefined;
    if (reasonOf(this.last) === reasonOf(this.#said)) return;
    this.#sayNow();
    this.#silence = this.#clock.timer(SAY_AGAIN_MS, () => this.#sayAgain());
  }

  #sayNow(): void {
    this.#said = this.last;
    this.#say(this.last);
  }
}

/** Names of files, numbers and times in it are no news. */
function reasonOf({ detail }: EngineHealth): string {
  return detail.replace(/[\w-]*\d[\w-]*/g, '#');
}
