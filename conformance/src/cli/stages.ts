import type { EngineHarness, ShardHarness } from '../check.ts';
import type { Stage } from '../run-check.ts';
import { openServiceShardWorld, openServiceWorld } from '../service-world.ts';
import { openShardWorld } from '../shard-world.ts';
import { openWorld } from '../world.ts';
import type { Subject } from './subject.ts';

type Staged = Pick<Subject, 'definition' | 'config' | 'url' | 'service'>;

export function stageOf(kind: Stage['kind'], subject: Staged): Stage {
  return kind === 'engine' ? { kind, open: engineOf(subject) } : { kind, open: shardOf(subject) };
}

export function engineOf({ definition, config, url, service }: Staged): () => Promise<EngineHarness> {
  const module = url === undefined ? {} : { module: url };
  return service === undefined
    ? () => openWorld(definition, { config, ...module })
    : () => openServiceWorld(definition, { service: service.address, settings: service.settings, ...module });
}

function shardOf({ definition, config, url, service }: Staged): () => Promise<ShardHarness> {
  const module = url === undefined ? {} : { module: url };
  return service === undefined
    ? () => openShardWorld(definition, { config, ...module })
    : () => openServiceShardWorld(definition, { service: service.address, settings: service.settings, ...module });
}
