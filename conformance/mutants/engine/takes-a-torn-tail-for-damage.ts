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
    'Logs that refused to start after each power cut: somebody deleted the file to make it go, and with it all that was whole',
  stage: 'engine',
  caughtBy: 'SHARD-220',
  alsoFails: ['SHARD-288'],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-221'],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
