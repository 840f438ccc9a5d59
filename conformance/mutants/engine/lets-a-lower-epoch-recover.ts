import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'lets a lower epoch recover',
  incident: 'A request of the former owner that was held up in a queue arrives after two takeovers, and is obeyed',
  stage: 'engine',
  caughtBy: 'SHARD-042',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({ recover: (id) => engine.recover(id, { epoch: 1000 }) })),
};

export default mutant.definition;
