import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import type { Frame } from '../one-file/one-file-log.ts';

class Broken extends OneFileEngine {
  protected override replay(frame: Frame): void {
    if (frame.step.does !== 'seal') super.replay(frame);
  }
}

export const mutant: Mutant = {
  name: 'seals in memory only',
  incident:
    'YugabyteDB #3490: a log went on in a new segment before the end of the old one was synced: after a crash there was a gap between the two',
  stage: 'engine',
  caughtBy: 'SHARD-022',
  // each of these reads what was sealed after a restart
  alsoFails: ['SHARD-210', 'SHARD-211', 'SHARD-212', 'SHARD-213', 'SHARD-214', 'SHARD-215', 'SHARD-274', 'SHARD-288'],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(Broken),
};

export default mutant.definition;
