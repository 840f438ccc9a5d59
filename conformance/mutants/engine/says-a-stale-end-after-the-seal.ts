import { brokenReader, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'says a stale end after the seal when the last block of its index holds one offset',
  incident:
    'BookKeeper #594: a reader that had learned of the close still said the last entry and the length of before',
  stage: 'engine',
  caughtBy: 'SHARD-091',
  alsoFails: [],
  // segments of a random length end there with one seed in sixteen
  mayFail: ['SHARD-077'],
  definition: brokenReader(MEMORY, (reader) => ({
    offsets: () => {
      const { base, end } = reader.offsets();
      const stale = end - base > 16 && (end - base) % 16 === 1 ? end - 1 : end;
      return { base, committed: stale, end: stale, sealed: true };
    },
  })),
};

export default mutant.definition;
