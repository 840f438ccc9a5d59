import { brokenWriter, type Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'gives credit without end',
  incident:
    'AutoMQ #397, #341: appends queued in front of a store that was slower, until the process was out of memory',
  stage: 'engine',
  caughtBy: 'SHARD-280',
  alsoFails: [],
  definition: brokenWriter(oneFile(), () => ({ ready: () => undefined })),
};

export default mutant.definition;
