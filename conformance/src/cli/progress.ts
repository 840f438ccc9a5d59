import type { Terminal } from './main.ts';
import type { Step } from './prove.ts';

/** Tells what goes on: one line that changes on a terminal, a line for each check elsewhere. */
export class Progress {
  readonly #stream: Terminal['stderr'];

  constructor(stream: Terminal['stderr']) {
    this.#stream = stream;
  }

  show(step: Step): void {
    if (step.kind === 'rates') {
      this.#line('measuring');
      return;
    }
    const { stage, id, result, done, of } = step;
    const width = String(of).length;
    const text = `[${String(done).padStart(width)}/${of}] ${stage} ${id} ${result}`;
    if (result === 'failed') this.clear();
    this.#line(text, result === 'failed');
  }

  /** Before anything else is written. */
  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\u001b[K');
  }

  #line(text: string, stays = false): void {
    if (!this.#stream.isTTY || stays) this.#stream.write(`${text}\n`);
    else this.#stream.write(`\r\u001b[K${text.slice(0, Math.max(20, (this.#stream.columns ?? 80) - 1))}`);
  }
}
