/**
 * Segments in the memory of the process: for what may be lost with it. See README.md.
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition } from '@robustmq/core';
import { MemoryEngine } from './memory-engine.ts';

const MAX_BATCH_BYTES = 8 * 1024 * 1024;

export interface MemoryConfig {
  /** Bytes that all segments of the instance may hold together. */
  readonly limitBytes: number;
}

const engine: EngineDefinition<MemoryConfig> = defineEngine<MemoryConfig>({
  name: 'memory',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      limitBytes: {
        type: 'integer',
        unit: 'bytes',
        minimum: 4 * MAX_BATCH_BYTES,
        default: 256 * 1024 * 1024,
        description:
          'Bytes that all segments of this instance may hold together; the oldest go when it is nearly used up',
      },
    },
  },
  capabilities: { durability: 'none', placement: 'node', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: async (ctx) => new MemoryEngine(ctx),
});

export default engine;
