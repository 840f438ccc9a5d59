import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import type { Frame } from '../one-file/one-file-log.ts';

class Broken extends OneFileEngine {
  protected override replay(frame: Frame): void {
    super.replay(frame.step.does === 'recover' ? { ...frame, step: { ...frame.step, epoch: 0 } } : frame);
  }
}

export const mutant: Mutant = {
  name: 'fences in memory only',
  incident:
    'BP-46: bookies that kept the fence without writing it down let the old writer in again after their restart',
  stage: 'engine',
  caughtBy: 'SHARD-043',
  alsoFails: [],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(Broken),
};

export default mutant.definition;
