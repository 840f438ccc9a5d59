import { engineConformance, openShardWorld, openWorld, shardConformance } from '@robustmq/conformance';
import { describe, it } from 'vitest';
import { objectProbe } from './probes/object-probe.ts';

const slow = (name: string, run: () => Promise<void>): void => it(name, run, 120_000);

for (const engine of [objectProbe]) {
  engineConformance({ describe, it: slow, engine, effort: 0.3, open: () => openWorld(engine, { config: {} }) });
  shardConformance({ describe, it: slow, engine, effort: 0.3, open: () => openShardWorld(engine, { config: {} }) });
}
