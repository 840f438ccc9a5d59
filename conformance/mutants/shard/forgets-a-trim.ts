import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'brings back after a restart what was trimmed',
  incident: 'jgroups-raft #9: what had been truncated was not known any more when the log was closed and opened again',
  stage: 'shard',
  caughtBy: 'SHARD-163',
  alsoFails: [],
  definition: oneFile(),
  shard: (shard, life) => ({
    offsets: async () => ({ ...(await shard.offsets()), ...(life > 0 ? { logStart: 0 } : {}) }),
  }),
};

export default mutant.definition;
