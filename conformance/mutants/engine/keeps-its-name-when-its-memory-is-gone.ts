import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'keeps its name when its memory is gone',
  incident: 'BookKeeper #2612, BP-46: a bookie that had lost its disk came back under its old name, and was believed',
  stage: 'engine',
  caughtBy: 'SHARD-025',
  alsoFails: [],
  definition: broken(MEMORY, () => ({ incarnation: 'always-the-same' })),
};

export default mutant.definition;
