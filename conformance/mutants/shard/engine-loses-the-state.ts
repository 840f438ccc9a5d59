import { brokenReader, type Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'lies on an engine that loses the state',
  incident:
    'Tansu stored what it knew of producers apart from the data: after a crash in between a retry vanished, or was stored twice',
  stage: 'shard',
  caughtBy: 'SHARD-170',
  alsoFails: [],
  definition: brokenReader(oneFile(), () => ({ state: async () => new Uint8Array(0) })),
};

export default mutant.definition;
