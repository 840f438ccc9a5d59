import { StorageError } from '@robustmq/core';
import { MEMORY, type Mutant, override } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'opens no segment while another one is being sealed (a wrapper)',
  incident: 'KAFKA-9693: whenever a segment was rolled, a flush held up those who took what was produced',
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
