import { openSync } from 'node:fs';
import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'leaks a handle with each read',
  incident: 'A descriptor a cold read, given back by nobody: enough for a week, then nothing can be opened any more',
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
