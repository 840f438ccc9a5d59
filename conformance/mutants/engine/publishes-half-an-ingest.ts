import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'publishes half an ingest when the source fails',
  incident:
    'KAFKA-17062: copies that had failed halfway were counted as copies, and live data was deleted on the strength of them',
  stage: 'engine',
  caughtBy: 'SHARD-062',
  // a batch that the wrapper refuses is a source that fails, too
  alsoFails: ['SHARD-067'],
  definition: broken(MEMORY, (engine) => ({
    ingest: (id, options, batches) =>
      engine.ingest(
        id,
        options,
        (async function* () {
          try {
            yield* batches;
          } catch {}
        })(),
      ),
  })),
};

export default mutant.definition;
