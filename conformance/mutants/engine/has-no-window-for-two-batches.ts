import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'has a window of one large batch only',
  incident:
    'zio #11187: whoever asked a semaphore for more than it has waited for ever, and so did all who asked behind it, for however little',
  stage: 'engine',
  caughtBy: 'SHARD-121',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => ({
    ready: (bytes) => (bytes <= 2 ** 23 ? writer.ready(bytes) : new Promise(() => {})),
  })),
};

export default mutant.definition;
