import { type Caller, Replica } from './replica.ts';
import { Shelf } from './shelf.ts';
import { Weather } from './weather.ts';

/** `calm`: all are there. `slow`: one lags far behind. `lossy`: one after the other goes away for a while and comes back. */
export type Climate = 'calm' | 'slow' | 'lossy';

const TRIES = 4;

/** Three replicas, of which one at most is away at a time. */
export class QuorumMedium {
  readonly replicas: readonly Replica[];
  readonly incarnation: string;
  /** The bytes of all runs: one file stands for three disks. */
  readonly shelf: Shelf;
  climate: Climate = 'calm';
  /** How often one has gone away. */
  outages = 0;
  readonly #callers = new Map<string, Caller>();
  readonly #weather: Weather;
  #calls = 0;
  #next = 150;

  constructor(seed: number, incarnation: string, dir: string) {
    this.shelf = new Shelf(dir);
    this.incarnation = incarnation;
    this.#weather = new Weather(seed, 0);
    this.replicas = [1, 2, 3].map((i) => new Replica(new Weather(seed + i, 0.005)));
  }

  /** Whoever was on this node before has crashed, or has closed. */
  callerOn(dir: string): Caller {
    const before = this.#callers.get(dir);
    if (before !== undefined) before.alive = false;
    const caller = { alive: true };
    this.#callers.set(dir, caller);
    return caller;
  }

  /** All that are asked answer, or are told to be away. */
  async all<T>(
    caller: Caller,
    call: (replica: Replica) => T,
    of: readonly Replica[] = this.replicas,
  ): Promise<{ replica: Replica; value: T }[]> {
    const answers = await Promise.allSettled(of.map((replica) => this.one(caller, replica, call)));
    return answers.flatMap((answer, i) => {
      const replica = of[i];
      return answer.status === 'fulfilled' && replica !== undefined ? [{ replica, value: answer.value }] : [];
    });
  }

  async one<T>(caller: Caller, replica: Replica, call: (replica: Replica) => T): Promise<T> {
    this.#blow();
    if (this.climate === 'slow' && replica === this.replicas[0])
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    for (let tries = 1; ; tries++) {
      try {
        return await replica.ask(caller, call);
      } catch (error) {
        if (replica.down || !caller.alive || tries === TRIES) throw error;
      }
    }
  }

  #blow(): void {
    if (this.climate !== 'lossy' || ++this.#calls < this.#next) return;
    const away = this.replicas.find(({ down }) => down);
    if (away !== undefined) away.down = false;
    else {
      const chosen = this.replicas[Math.floor(this.#weather.next() * 3)];
      if (chosen !== undefined) chosen.down = true;
      this.outages++;
    }
    this.#next += Math.floor((away === undefined ? 30 : 200) * (0.5 + this.#weather.next()));
  }
}
