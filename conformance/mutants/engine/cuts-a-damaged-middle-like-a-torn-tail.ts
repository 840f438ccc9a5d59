import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  protected override isProven(): boolean {
    return false;
  }
}

export const mutant: Mutant = {
  name: 'cuts damage in the middle as if it were a torn tail',
  incident:
    'BookKeeper #2908: a damaged entry log said "no such entry", and recovery closed the ledger there: all that was acknowledged behind it was cut off',
  stage: 'engine',
  caughtBy: 'SHARD-223',
  // sealed segments lie in the middle of the same file
  alsoFails: ['SHARD-222', 'SHARD-281'],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
