import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'never gives credit back',
  incident:
    'Pulsar #6360: a send that failed did not release the semaphore on every path, and whoever sent next could wait for ever',
  stage: 'engine',
  caughtBy: 'SHARD-122',
  // whoever waits when the writer ends waits for ever, too
  alsoFails: ['SHARD-272', 'SHARD-289'],
  definition: brokenWriter(MEMORY, (writer) => {
    let left = 2 ** 25;
    return {
      append: (batches, options) => {
        left -= batches.reduce((sum, { length }) => sum + length, 0);
        return writer.append(batches, options);
      },
      ready: (bytes) => (bytes <= left ? undefined : new Promise(() => {})),
    };
  }),
};

export default mutant.definition;
