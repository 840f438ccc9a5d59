import { engineConformance, openShardWorld, openWorld, shardConformance } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import { describe, it } from 'vitest';
import localFile from '../src/index.ts';

const engine = localFile as EngineDefinition; // opened with the configuration that it asks for
const module = new URL('../src/index.ts', import.meta.url).href; // what a child process imports, to be killed

engineConformance({ describe, it, engine, open: () => openWorld(engine, { config: {}, module }) });
shardConformance({ describe, it, engine, open: () => openShardWorld(engine, { config: {}, module }) });
