import { openSync } from 'node:fs';
import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'leaks a handle with each read',
  incident:
    'CorfuDB #548: each read of a record opened the file and did not close it: some 300 000 descriptors of one log',
  stage: 'engine',
  caughtBy: 'SHARD-132',
  alsoFails: [],
  definition: brokenReader(MEMORY, (reader) => ({
    read: (from, options) => {
      openSync('/dev/null', 'r');
      return reader.read(from, options);
    },
  })),
};

export default mutant.definition;
