import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'serves past committed while appends are in flight',
  incident:
    'Redpanda #14794: consumers were shown batches that no majority had yet, and that were not there with the next leader',
  stage: 'shard',
  caughtBy: 'SHARD-031',
  alsoFails: [],
  definition: oneFile(),
  shard: (shard) => {
    let [inFlight, last, before] = [0, 0, 0];
    return {
      append: (batches, options) => {
        inFlight++;
        return shard
          .append(batches, options)
          .then((appended) => {
            last = appended.next;
            return appended;
          })
          .finally(() => {
            if (--inFlight === 0) before = last;
          });
      },
      offsets: async () => {
        const now = await shard.offsets();
        return inFlight === 0 ? now : { ...now, committed: before };
      },
    };
  },
};

export default mutant.definition;
