import { StorageError } from '@robustmq/core';
import type { Run } from './run.ts';

/** A request for bytes that several may wait for. It is given up once all of them have gone; until then one who goes changes nothing for the others. */
export class Flight {
  readonly #giveUp = new AbortController();
  readonly #landed: Promise<Run>;
  #waiting = 0;
  #abandoned: (() => void) | undefined;

  /** `abandoned` is called when the last one that waited has gone before it landed. */
  constructor(start: (signal: AbortSignal) => Promise<Run>, abandoned: () => void) {
    this.#abandoned = abandoned;
    this.#landed = Promise.resolve()
      .then(() => start(this.#giveUp.signal))
      .finally(() => {
        this.#abandoned = undefined;
      });
    // each who waits is told; when nobody is left, nobody needs to be
    this.#landed.catch(() => {});
  }

  wait(signal?: AbortSignal): Promise<Run> {
    this.#waiting++;
    if (signal === undefined) return this.#landed;
    return new Promise((resolve, reject) => {
      const gone = (): void => {
        reject(new StorageError('ABORTED', 'The read was given up'));
        this.#waiting--;
        if (this.#waiting > 0 || this.#abandoned === undefined) return;
        this.#abandoned();
        this.#giveUp.abort();
      };
      if (signal.aborted) gone();
      else {
        signal.addEventListener('abort', gone, { once: true });
        const done = (): void => signal.removeEventListener('abort', gone);
        this.#landed.then(
          (run) => {
            done();
            resolve(run);
          },
          (error: unknown) => {
            done();
            reject(error);
          },
        );
      }
    });
  }
}
