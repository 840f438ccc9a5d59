import type { SegmentWriter } from '@robustmq/core';
import { broken, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: 'recovers without fencing the writer that is still there',
  incident:
    "BookKeeper's recovery read entries without the fence (#2614, found with TLA+): the old writer went on meanwhile",
  stage: 'engine',
  caughtBy: 'SHARD-040',
  // asks for the refusal of the fenced writer, too
  alsoFails: ['SHARD-111', 'SHARD-290'],
  definition: broken(MEMORY, (engine) => {
    const writers = new Map<string, { readonly writer: SegmentWriter; readonly epoch: number }>();
    const late = new Map<string, number>();
    return {
      create: async (id, options) => {
        const writer = await engine.create(id, options);
        writers.set(id, { writer, epoch: options.epoch });
        return writer;
      },
      recover: async (id, options) => {
        const { writer, epoch = 0 } = writers.get(id) ?? {};
        writers.delete(id);
        if (writer === undefined || options.epoch < epoch) {
          late.delete(id);
          return await engine.recover(id, options);
        }
        late.set(id, options.epoch);
        return { end: writer.offsets().end };
      },
      delete: async (id) => {
        writers.delete(id);
        late.delete(id);
        await engine.delete(id);
      },
      openReader: async (id) => {
        const epoch = late.get(id);
        if (epoch !== undefined) await engine.recover(id, { epoch });
        return await engine.openReader(id);
      },
    };
  }),
};

export default mutant.definition;
