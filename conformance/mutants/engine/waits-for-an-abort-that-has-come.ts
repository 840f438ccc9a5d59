import { once } from 'node:events';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'waits in its housekeeping for an abort that has come already',
  incident:
    'undici #475: a signal that had aborted already was not looked at, and its event does not come again. BookKeeper #2941: a bookie took half an hour to stop, since its compaction did not hear of it',
  stage: 'engine',
  caughtBy: 'SHARD-295',
  alsoFails: [],
  definition: broken(MEMORY, () => ({
    maintain: async ({ signal }) => {
      const work = Promise.resolve();
      await (signal.aborted ? once(signal, 'abort') : work);
    },
  })),
};

export default mutant.definition;
