import { engineConformance, openShardWorld, openWorld, shardConformance } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import { describe, it } from 'vitest';
import localFile from '../src/index.ts';

const engine = localFile as EngineDefinition; // opened with the configuration that it asks for
const module = new URL('../src/index.ts', import.meta.url).href; // what a child process imports, to be killed

// whole in `npm run conformance`, which CI runs, and for what `npm run coverage` counts
const quick = process.env.ROBUST_CONFORMANCE_WHOLE === undefined;
engineConformance({ describe, it, engine, quick, open: () => openWorld(engine, { config: {}, module }) });
shardConformance({ describe, it, engine, quick, open: () => openShardWorld(engine, { config: {}, module }) });
