// The whole suite on a packed engine, in JavaScript with Node's own test runner.
import { describe, it } from 'node:test';
import { engineConformance, openShardWorld, openWorld, shardConformance } from '@robustmq/conformance';
import engine from '@robustmq/engine-memory';

const config = { limitBytes: 256 * 1024 * 1024 };

engineConformance({ describe, it, engine, open: () => openWorld(engine, { config }) });
shardConformance({ describe, it, engine, open: () => openShardWorld(engine, { config }) });
