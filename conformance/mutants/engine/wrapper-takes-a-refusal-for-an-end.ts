import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives nothing instead of an error for an offset past the end (a wrapper)',
  incident:
    'nats-server #5412: after a power cut a consumer was ahead of its stream, and got nothing of it until the stream had caught up',
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
