import { StorageError } from '@robustmq/core';
import { broken, MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

/** Of all its segments together. */
const SHARE_BYTES = 30 * 1024 * 1024;

export const mutant: Mutant = {
  name: 'asks for a new segment in an empty one',
  incident: 'A share of the medium that was counted over all segments: once it was used up, core rolled for ever',
  stage: 'engine',
  caughtBy: 'SHARD-289',
  alsoFails: [],
  definition: broken(MEMORY, (engine) => {
    let bytes = 0;
    return wrongWriter(engine, (writer) => ({
      append: async (batches, options) => {
        const more = batches.reduce((sum, { length }) => sum + length, bytes);
        if (more > SHARE_BYTES) throw new StorageError('SEGMENT_MUST_ROLL', 'It has had its share');
        bytes = more;
        return await writer.append(batches, options);
      },
    }));
  }),
};

export default mutant.definition;
