import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override async recover(...[id, options]: Parameters<OneFileEngine['recover']>): Promise<{ readonly end: number }> {
    const { end } = this.find(id);
    await super.recover(id, options);
    return { end };
  }
}

export const mutant: Mutant = {
  name: 'takes the end of a recovery before what is in flight has landed',
  incident:
    'BookKeeper #2614 once more: an end that is found while the writer is still heard leaves out what it acknowledges next',
  stage: 'engine',
  caughtBy: 'SHARD-041',
  // races recoveries with appends in flight
  alsoFails: ['SHARD-045'],
  definition: oneFile(Broken),
};

export default mutant.definition;
