import type { SegmentRead } from '@robustmq/core';
import { type Mutant, override } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';

export const mutant: Mutant = {
  name: 'gives half a batch when a deletion meets a read (a wrapper)',
  incident:
    'Curvine #677: a file was truncated while somebody read it, and a part of it was handed to him as if it were all there was',
  stage: 'engine',
  caughtBy: 'SHARD-104',
  alsoFails: [],
  definition: oneFile(),
  wrapper: (engine) => ({
    openReader: async (id) => {
      const reader = await engine.openReader(id);
      let before: SegmentRead | undefined;
      return override(reader, {
        read: async (from, options) => {
          try {
            before = await reader.read(from, options);
            return before;
          } catch (error) {
            if ((error as { readonly code?: string }).code !== 'SEGMENT_UNKNOWN' || before === undefined) throw error;
            return { bytes: before.bytes.subarray(0, before.bytes.length >> 1), next: from + 1 };
          }
        },
      });
    },
  }),
};

export default mutant.definition;
