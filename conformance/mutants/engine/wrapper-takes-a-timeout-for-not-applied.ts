import { isStorageError, StorageError } from '@robustmq/core';
import { MEMORY, type Mutant, wrongWriter } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'says of an append that is on its way that it was not applied (a wrapper)',
  incident:
    'cockroachdb/jepsen #37: a result that was ambiguous was noted as one that had failed. Whoever sends again after that has it twice',
  stage: 'engine',
  caughtBy: 'SHARD-124',
  alsoFails: [],
  definition: MEMORY,
  wrapper: (engine) =>
    wrongWriter(engine, (writer) => ({
      append: (batches, options) =>
        writer.append(batches, options).catch((error: unknown) => {
          throw isStorageError(error, 'ABORTED') ? new StorageError('ABORTED', 'Given up', { outcome: 'none' }) : error;
        }),
    })),
};

export default mutant.definition;
