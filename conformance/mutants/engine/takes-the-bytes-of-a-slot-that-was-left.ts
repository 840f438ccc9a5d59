import { patchOffsetAndEpoch } from '@robustmq/core';
import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

const SLOTS = 64;

export const mutant: Mutant = {
  name: 'writes the bytes of the append before when its ring of 64 slots has gone round and is full again',
  incident:
    'bus-queue #26: the writer of a ring came round between a look at the index and the read: the slot gave another entry than was asked for',
  stage: 'engine',
  caughtBy: 'SHARD-003',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => {
    let [inFlight, settled] = [0, 0];
    let before: Uint8Array | undefined;
    return {
      append: (batches, options) => {
        const bytes = batches.length === 1 ? batches[0] : undefined;
        const last = before;
        before = bytes?.slice();
        inFlight++;
        const full = settled > 0 && inFlight === SLOTS && last !== undefined && last.length === bytes?.length;
        if (full) patchOffsetAndEpoch(last, options.base, 0);
        return writer.append(full ? [last] : batches, options).finally(() => {
          inFlight--;
          settled++;
        });
      },
    };
  }),
};

export default mutant.definition;
