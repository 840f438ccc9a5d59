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
    'A write that failed with EIO behind its first sectors, and a retry that found the file longer and went on at its end',
  stage: 'engine',
  caughtBy: 'SHARD-288',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
