import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'brings back after a restart what was trimmed',
  incident: 'A start of the log that only the process knew: records came back that had been deleted for a reason',
  stage: 'shard',
  caughtBy: 'SHARD-163',
  alsoFails: [],
  definition: oneFile(),
  shard: (shard, life) => ({
    offsets: async () => ({ ...(await shard.offsets()), ...(life > 0 ? { logStart: 0 } : {}) }),
  }),
};

export default mutant.definition;
