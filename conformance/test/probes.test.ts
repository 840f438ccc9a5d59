import {
  checks,
  engineConformance,
  openShardWorld,
  openWorld,
  runCheck,
  shardConformance,
} from '@robustmq/conformance';
import { describe, expect, it } from 'vitest';
import { objectProbe } from './probes/object-probe.ts';
import { quorumMedia, quorumProbe } from './probes/quorum-probe.ts';

const slow = (name: string, run: () => Promise<void>): void => it(name, run, 120_000);

const worlds = [
  { engine: objectProbe, config: {}, shardConfig: {} },
  // alone with a segment nobody rolls, so of the engine none goes away; above it core does
  { engine: quorumProbe, config: { climate: 'slow' }, shardConfig: { climate: 'lossy' } },
];

for (const { engine, config, shardConfig } of worlds) {
  const options = { describe, it: slow, engine, effort: 0.3 };
  engineConformance({ ...options, open: () => openWorld(engine, { config }) });
  shardConformance({ ...options, open: () => openShardWorld(engine, { config: shardConfig }) });
}

describe('a quorum that loses a replica now and then', () => {
  slow('answers as the oracle of the model allows', async () => {
    const check = checks.find(({ id }) => id === 'SHARD-230');
    if (check === undefined) throw new Error('the model has gone');
    const open = () => openWorld(quorumProbe, { config: { climate: 'lossy' } });
    await runCheck(check, quorumProbe, { kind: 'engine', open }, { effort: 0.5 });
    expect([...quorumMedia.values()].at(-1)?.outages).toBeGreaterThan(3);
  });
});
