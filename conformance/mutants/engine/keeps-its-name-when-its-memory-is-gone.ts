import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'keeps its name when its memory is gone',
  incident: 'BookKeeper #2908: a bookie came back with an empty disk under its old name, and nobody asked',
  stage: 'engine',
  caughtBy: 'SHARD-025',
  alsoFails: [],
  definition: broken(MEMORY, () => ({ incarnation: 'always-the-same' })),
};

export default mutant.definition;
