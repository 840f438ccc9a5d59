import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

const LARGE = 16;

class Broken extends OneFileLog {
  #frames = 0;

  protected override put(bytes: Buffer, at: number): Promise<void> {
    this.#frames = bytes.toString('latin1').split('1FIL').length - 1;
    return super.put(bytes, at);
  }

  protected override async sync(): Promise<void> {
    if (this.#frames < LARGE) await super.sync();
  }
}

export const mutant: Mutant = {
  name: 'syncs small groups only',
  incident:
    'turso #9237: a group commit went by what its leader had asked for: others of the group were told of a sync that there was not',
  stage: 'engine',
  caughtBy: 'SHARD-216',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
