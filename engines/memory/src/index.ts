/**
 * Segments in the memory of the process: for what may be lost with it. See README.md.
 */
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition, keptBytes, roomForecast } from '@robustmq/core';
import { MemoryEngine } from './memory-engine.ts';

const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const PER_GB_MONTH = 4.9;

export interface MemoryConfig {
  /** Bytes that all segments of the instance may hold together. */
  readonly limitBytes: number;
  /** For forecasts. */
  readonly prices?: { readonly perGbMonth?: number };
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
      prices: {
        type: 'object',
        additionalProperties: false,
        default: {},
        description: 'What memory costs, in any currency, for `robust-server cost`',
        properties: {
          perGbMonth: {
            type: 'number',
            minimum: 0,
            default: PER_GB_MONTH,
            description: '1 GB for a month; by default of a machine of AWS (r7g.large, us-east-1), in US dollars',
          },
        },
      },
    },
  },
  capabilities: { durability: 'none', placement: 'node', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: async (ctx) => new MemoryEngine(ctx),
  // what does not fit is not kept
  forecast: ({ limitBytes, prices }, load) =>
    roomForecast(Math.min(keptBytes(load), load.nodes * limitBytes), prices?.perGbMonth ?? PER_GB_MONTH),
});

export default engine;
