import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  protected override put(bytes: Buffer, at: number): Promise<void> {
    return super.put(bytes, at).catch((error: unknown) => {
      this.end = at + (bytes.length >> 1);
      throw error;
    });
  }
}

export const mutant: Mutant = {
  name: 'goes on behind half a write',
  incident:
    'DuckDB #14785: what was written behind the torn end of a log was taken for garbage, and discarded, by the next start',
  stage: 'engine',
  caughtBy: 'SHARD-212',
  // a write that fails is one that may be half done
  alsoFails: ['SHARD-210', 'SHARD-213', 'SHARD-275', 'SHARD-288'],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
