import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override async start(): Promise<void> {
    await super.start();
    this.incarnation = 'the-name-in-the-config';
  }
}

export const mutant: Mutant = {
  name: 'keeps its name when its directory is emptied',
  incident:
    'BookKeeper #2612, BP-46: a bookie whose disk was replaced came back under its old name, and what it did not have it said had never been',
  stage: 'engine',
  caughtBy: 'SHARD-276',
  alsoFails: [],
  definition: oneFile(Broken),
};

export default mutant.definition;
