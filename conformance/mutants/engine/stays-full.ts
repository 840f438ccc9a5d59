import { isDiskFull } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  #full: unknown;

  protected override async put(bytes: Buffer, at: number): Promise<void> {
    if (this.#full !== undefined) throw this.#full;
    try {
      await super.put(bytes, at);
    } catch (error) {
      if (isDiskFull(error)) this.#full = error;
      throw error;
    }
  }
}

export const mutant: Mutant = {
  name: 'stays full when there is room again',
  incident:
    'elasticsearch #39334: indices that a full disk had made read-only stayed so with room again, until each was told otherwise',
  stage: 'engine',
  caughtBy: 'SHARD-275',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
