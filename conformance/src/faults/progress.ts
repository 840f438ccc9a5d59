import type { RecordedEvent } from '@robustmq/core/testing';
import type { Act, ActMark } from './acts.ts';
import type { Known } from './judge.ts';
import type { MetaMark } from './recorded-meta.ts';

/** What was promised so far. */
export class Progress {
  readonly #acts: readonly Act[];
  readonly #begun = new Set<Act>();
  readonly #done = new Set<Act>();
  /** Of Meta. */
  commits = 0;
  /** The number of the last step of I/O that was begun. */
  steps = 0;

  constructor(acts: readonly Act[]) {
    this.#acts = acts;
  }

  apply(event: RecordedEvent): void {
    if (event.kind === 'begin') this.steps = event.op;
    if (event.kind !== 'mark') return;
    const mark = event.mark as ActMark | MetaMark; // nobody else marks this recording
    if ('meta' in mark) {
      this.commits = mark.meta;
      return;
    }
    const act = this.#acts[mark.act];
    if (act !== undefined) (mark.done ? this.#done : this.#begun).add(act);
  }

  /** How many of these were asked for and not answered yet. */
  unanswered(does: Act['does']): number {
    let count = 0;
    for (const act of this.#begun) if (act.does === does && !this.#done.has(act)) count++;
    return count;
  }

  known(): Known {
    return { begun: new Set(this.#begun), done: new Set(this.#done) };
  }
}
