import { type Clock, isDiskFull, isStorageError, type Logger, RobustError, StorageError } from '@robustmq/core';

/** A step that takes longer gets a line in the log. */
const SLOW_MS = 10_000;
/** What a step may still take once the node is told to stop: enough for one that listens to its signal. */
const GRACE_MS = 1000;

export interface StartStepsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when the node should stop although it has not started. */
  readonly signal: AbortSignal;
  /** Told the name of each step as it begins. */
  readonly onStep: (what: string) => void;
}

/** The steps of a start. A plug-in may never come back from its `open`: the log names it, and a signal still ends the node. */
export class StartSteps {
  readonly #options: StartStepsOptions;

  constructor(options: StartStepsOptions) {
    this.#options = options;
  }

  /** @throws START_INTERRUPTED; DISK_FULL when that is behind it; what `run` throws */
  async take<T>(what: string, run: () => Promise<T>): Promise<T> {
    const { clock, logger, signal, onStep } = this.#options;
    if (signal.aborted) throw interrupted(`before ${what} was opened`);
    onStep(what);
    const slow = clock.timer(SLOW_MS, () => logger.warn({}, `opening ${what} has taken more than ${SLOW_MS / 1000} s`));
    let leave = (): void => {};
    const left = new Promise<never>((_, reject) => {
      leave = () => {
        clock.timer(GRACE_MS, () => reject(new Error(`opening ${what} did not end`)));
      };
      signal.addEventListener('abort', leave, { once: true });
    });
    try {
      return await Promise.race([run(), left]);
    } catch (error) {
      // what fails now fails because it was told to stop
      if (signal.aborted) throw interrupted(`while ${what} was being opened`, error);
      if (!isDiskFull(error) || isStorageError(error, 'DISK_FULL')) throw error;
      throw new StorageError('DISK_FULL', `there is no room left for ${what}`, {
        ...(isStorageError(error) && error.where !== undefined ? { where: error.where } : {}),
        hint: 'Free space there, then start again',
        cause: error,
      });
    } finally {
      slow.cancel();
      signal.removeEventListener('abort', leave);
    }
  }
}

function interrupted(when: string, cause?: unknown): RobustError {
  return new RobustError('START_INTERRUPTED', `the node was told to stop ${when}`, {
    hint: 'What was open has been closed again',
    cause,
  });
}
