import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'lets a lower epoch recover',
  incident:
    "KAFKA-7235 (KIP-380): requests of the controller from before a broker's restart reached it afterwards, and were obeyed",
  stage: 'engine',
  caughtBy: 'SHARD-042',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({ recover: (id) => engine.recover(id, { epoch: 1000 }) })),
};

export default mutant.definition;
