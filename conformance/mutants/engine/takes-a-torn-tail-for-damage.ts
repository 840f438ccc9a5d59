import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  protected override isProven(): boolean {
    return true;
  }
}

export const mutant: Mutant = {
  name: 'takes a torn tail for damage, and does not open',
  incident:
    'etcd #5230: a write that had been torn at the border of a page was taken for damage: a member did not start any more, then most did not',
  stage: 'engine',
  caughtBy: 'SHARD-220',
  alsoFails: ['SHARD-288'],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297', 'SHARD-221'],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
