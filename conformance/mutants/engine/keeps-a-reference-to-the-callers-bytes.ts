import { readHeader } from '@robustmq/core';
import { brokenWriter, MEMORY, type Mutant } from '../mutant.ts';

export const mutant: Mutant = {
  name: "keeps a reference to the caller's bytes",
  incident:
    'netty #485, nats-server #2040: bytes were handed on without a copy, in a buffer that its owner filled anew',
  stage: 'engine',
  caughtBy: 'SHARD-075',
  alsoFails: [],
  definition: brokenWriter(MEMORY, (writer) => {
    const newest = new Map<number, Uint8Array>();
    return {
      append: (batches, options) => {
        for (const bytes of batches) newest.set(readHeader(bytes).baseOffset, bytes);
        return writer.append(batches, options);
      },
      read: async (from, options) => {
        const { bytes, next } = await writer.read(from, options);
        const cached = newest.get(from) ?? bytes.subarray(0, 0);
        return { bytes: Buffer.concat([cached, bytes.subarray(cached.length)]), next };
      },
    };
  }),
};

export default mutant.definition;
