import { engineConformance, openShardWorld, openWorld, shardConformance } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import memory from '@robustmq/engine-memory';
import { describe, it } from 'vitest';

const engine = memory as EngineDefinition; // opened with the configuration that it asks for
const config = { limitBytes: 256 * 1024 * 1024 };
const module = new URL('../src/index.ts', import.meta.url).href; // what a child process imports, to be killed

// whole in `npm run conformance`, which CI runs
engineConformance({ describe, it, engine, quick: true, open: () => openWorld(engine, { config, module }) });
shardConformance({ describe, it, engine, quick: true, open: () => openShardWorld(engine, { config, module }) });
