import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  protected override put(bytes: Buffer, at: number): Promise<void> {
    return super.put(bytes, at).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EIO' || (await this.file.size()) <= at) throw error;
    });
  }
}

export const mutant: Mutant = {
  name: 'takes a file that has grown for a write that was done',
  incident:
    'Proton #1229: a write that failed midway was counted with the bytes it had got out, and left half a record at the end of the log',
  stage: 'engine',
  caughtBy: 'SHARD-288',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
