import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives nothing instead of an error for an offset past the end (a wrapper)',
  incident: 'A consumer with a position from before a loss polls for ever and is told that there is nothing new',
  stage: 'engine',
  caughtBy: 'SHARD-073',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => ({
      read: async (from, options) =>
        Number.isInteger(from) && from > writer.offsets().committed
          ? { bytes: new Uint8Array(0), next: from }
          : await writer.read(from, options),
    })),
};

export default mutant.definition;
