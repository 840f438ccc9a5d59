import { brokenWriter, type Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'leaves the rejection of a failed append to nobody',
  incident: 'A background promise without a catch: Aiven #820 stopped without a word, and Node ends the whole process',
  stage: 'engine',
  caughtBy: 'SHARD-136',
  // wherever an append fails
  alsoFails: ['SHARD-011', 'SHARD-210', 'SHARD-212', 'SHARD-213', 'SHARD-214', 'SHARD-274', 'SHARD-275', 'SHARD-290'],
  apart: true,
  definition: brokenWriter(oneFile(), (writer) => ({
    append: (batches, options) => {
      const appended = writer.append(batches, options);
      void appended.then(() => {});
      return appended;
    },
  })),
};

export default mutant.definition;
