import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { type FoundFrame, OneFileLog } from '../one-file/one-file-log.ts';

const LARGEST_READ = 1.5 * 1024 * 1024;

class Broken extends OneFileLog {
  protected override frameAt(bytes: Buffer, at: number): FoundFrame | undefined {
    const found = super.frameAt(bytes, at);
    return found !== undefined && found.payload.length > LARGEST_READ ? undefined : found;
  }

  /** Damage is still told from a torn tail: a frame that is whole and large alone is not. */
  protected override isProven(bytes: Buffer): boolean {
    return super.frameAt(bytes, this.end) === undefined && super.isProven(bytes);
  }
}

export const mutant: Mutant = {
  name: 'reads back less than it writes',
  incident:
    'etcd #14025: an entry of more than 10 MB went into the log and was over the limit of its reader: the node did not start again',
  stage: 'engine',
  caughtBy: 'SHARD-127',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
