import type { EngineHarness, ShardHarness } from '../check.ts';
import { checks } from '../promises.ts';
import { belongsOn, type Stage } from '../run-check.ts';
import { openServiceShardWorld, openServiceWorld } from '../service-world.ts';
import { openShardWorld } from '../shard-world.ts';
import { openWorld } from '../world.ts';
import type { Subject } from './subject.ts';

export const STAGES: readonly Stage['kind'][] = ['engine', 'shard'];

/** One check where it belongs. */
export interface Task {
  readonly kind: Stage['kind'];
  readonly id: string;
}

/** All that `only` comes to, stage by stage. */
export function tasksOf(only: readonly string[]): Task[] {
  return STAGES.flatMap((kind) =>
    checks.filter((check) => belongsOn(check, kind) && only.includes(check.id)).map(({ id }) => ({ kind, id })),
  );
}

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
