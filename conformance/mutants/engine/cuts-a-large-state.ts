import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'cuts a large state at 64 KiB',
  incident: 'A length in 16 bits in front of what is known of producers: right until there are some thousand of them',
  stage: 'engine',
  caughtBy: 'SHARD-125',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => ({
    create: (id, options) => engine.create(id, { ...options, state: options.state.subarray(0, 65_535) }),
  })),
};

export default mutant.definition;
