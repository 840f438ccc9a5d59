import { StorageError } from '@robustmq/core';
import { MEMORY, type Mutant, override } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'opens no segment while another one is being sealed (a wrapper)',
  incident:
    'One lock around all that changes the list of segments: a roll under load waits for itself, or is turned away',
  stage: 'engine',
  caughtBy: 'SHARD-113',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) => {
    let sealing = 0;
    return {
      create: async (id, options) => {
        if (sealing > 0) throw new StorageError('IO_ERROR', 'Another segment is being sealed', { where: id });
        const writer = await engine.create(id, options);
        return override(writer, {
          seal: () => {
            sealing++;
            return writer.seal().finally(() => sealing--);
          },
        });
      },
    };
  },
};

export default mutant.definition;
