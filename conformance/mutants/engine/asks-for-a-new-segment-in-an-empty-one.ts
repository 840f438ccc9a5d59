import { StorageError } from '@robustmq/core';
import { broken, MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

/** Of all its segments together. */
const SHARE_BYTES = 30 * 1024 * 1024;

export const mutant: Mutant = {
  name: 'asks for a new segment in an empty one',
  incident:
    'KAFKA-6388: an index with room for no entry was full at once: the empty segment was to be rolled into one of the same name, which existed already',
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
