import { type SegmentRead, StorageError } from '@robustmq/core';
import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'ends all reads of a place with the signal of the first',
  incident:
    'SpiceDB #925, Bucketeer #2552: a read was shared by whoever wanted the same, under the context of the first: as it hung up, all failed',
  stage: 'engine',
  caughtBy: 'SHARD-291',
  alsoFails: [],
  definition: brokenReader(MEMORY, (reader) => {
    const flights = new Map<string, Promise<SegmentRead>>();
    return {
      read: (from, options) => {
        const key = `${from} ${options.maxBytes}`;
        const fly = async (): Promise<SegmentRead> => {
          await new Promise((resolve) => setImmediate(resolve));
          if (options.signal?.aborted === true) throw new StorageError('ABORTED', 'The read was given up');
          return await reader.read(from, options);
        };
        const flight = flights.get(key) ?? fly().finally(() => flights.delete(key));
        flights.set(key, flight);
        return flight;
      },
    };
  }),
};

export default mutant.definition;
