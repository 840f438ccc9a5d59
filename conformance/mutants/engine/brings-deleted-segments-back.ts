import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import type { Frame } from '../one-file/one-file-log.ts';

class Broken extends OneFileEngine {
  protected override replay(frame: Frame): void {
    if (frame.step.does !== 'delete') super.replay(frame);
  }
}

export const mutant: Mutant = {
  name: 'brings deleted segments back after a restart',
  incident:
    'Bitcask #82: a merge dropped the mark of a deletion and kept the older file with the key: after a restart what had been deleted was served again',
  stage: 'engine',
  caughtBy: 'SHARD-103',
  // each of these deletes a segment and starts again
  alsoFails: ['SHARD-210', 'SHARD-211', 'SHARD-212', 'SHARD-213', 'SHARD-214', 'SHARD-274', 'SHARD-288'],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(Broken),
};

export default mutant.definition;
