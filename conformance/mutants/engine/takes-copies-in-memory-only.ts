import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import type { Frame } from '../one-file/one-file-log.ts';

class Broken extends OneFileEngine {
  protected override replay(frame: Frame): void {
    if (frame.step.does !== 'publish') super.replay(frame);
  }
}

export const mutant: Mutant = {
  name: 'knows what it took in until it is started again',
  incident:
    'LizardFS #577: the chunks were safe, and what they were was known to memory alone: a restart of the master lost 40 days',
  stage: 'engine',
  caughtBy: 'SHARD-066',
  // each looks after a restart for what was taken in
  alsoFails: [
    'SHARD-103',
    'SHARD-210',
    'SHARD-211',
    'SHARD-212',
    'SHARD-213',
    'SHARD-214',
    'SHARD-222',
    'SHARD-274',
    'SHARD-277',
    'SHARD-288',
  ],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(Broken),
};

export default mutant.definition;
