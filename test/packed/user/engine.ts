// A third party's engine in TypeScript, which sees only what the published contract exports.
import { defineEngine, ENGINE_API_VERSION, type EngineDefinition, type StorageEngine } from '@robustmq/core/engine';
import memory, { type MemoryConfig } from '@robustmq/engine-memory';

const third: EngineDefinition<MemoryConfig> = defineEngine<MemoryConfig>({
  name: 'third',
  apiVersion: ENGINE_API_VERSION,
  version: '1.0.0',
  configSchema: memory.configSchema,
  capabilities: memory.capabilities,
  open: async (context): Promise<StorageEngine> => memory.open(context),
});

export default third;
