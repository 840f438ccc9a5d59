import { writeCrc } from '@robustmq/core';
import { MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'gives a damaged batch a new checksum when it copies it (a wrapper)',
  incident:
    'Gfarm #841: a file that was damaged while it was made has a checksum that fits, and is replicated like that',
  stage: 'engine',
  caughtBy: 'SHARD-067',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) => ({
    ingest: (id, options, batches) =>
      engine.ingest(
        id,
        options,
        (async function* () {
          for await (const chunk of batches) {
            if (chunk.length === new DataView(chunk.buffer, chunk.byteOffset).getInt32(8) + 12) writeCrc(chunk);
            yield chunk;
          }
        })(),
      ),
  }),
};

export default mutant.definition;
