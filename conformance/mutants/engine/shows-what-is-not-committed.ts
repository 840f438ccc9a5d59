import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import type { Step } from '../one-file/one-file-log.ts';

class Broken extends OneFileEngine {
  override async write(step: Step, ...payload: readonly Uint8Array[]): Promise<number> {
    if (step.does !== 'append') return await super.write(step, ...payload);
    this.apply({ step, payload: new Uint8Array(0), position: 0 }, payload);
    return await this.log.write(step, ...payload);
  }
}

export const mutant: Mutant = {
  name: 'shows what is on its way as if it were committed',
  incident: 'Dirty reads of the tail: a consumer acted upon a record that the next power cut took back',
  stage: 'engine',
  caughtBy: 'SHARD-215',
  alsoFails: [],
  definition: oneFile(Broken),
};

export default mutant.definition;
