import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'has a window of one large batch only',
  incident: 'A window smaller than two batches: a large one waits for all before it, and all behind wait for it',
  stage: 'engine',
  caughtBy: 'SHARD-121',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => ({
    ready: (bytes) => (bytes <= 2 ** 23 ? writer.ready(bytes) : new Promise(() => {})),
  })),
};

export default mutant.definition;
