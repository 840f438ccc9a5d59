import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'cuts a large state at 64 KiB',
  incident:
    "NIFI-3055, IGNITE-12836: Java's writeUTF puts a length of 16 bits in front: right until there are more than 64 KiB behind it",
  stage: 'engine',
  caughtBy: 'SHARD-125',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    create: (id, options) => engine.create(id, { ...options, state: options.state.subarray(0, 65_535) }),
  })),
};

export default mutant.definition;
