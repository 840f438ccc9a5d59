import type { EngineDefinition } from '@robustmq/core';
import { commandFor } from './run-again.ts';
import { openServiceShardWorld, openServiceWorld, type ServiceWorldOptions } from './service-world.ts';
import { engineConformance, type Runner, type SuiteOptions, shardConformance } from './suite.ts';

export interface ServiceConformanceOptions extends Runner, SuiteOptions, ServiceWorldOptions {
  readonly engine: EngineDefinition;
}

/**
 * Defines all checks of an engine that talks to a service, which is there already: of the engine alone, and of a shard above it. Its requests are lost, cut and
 * delayed; a crash cuts its connections. With `module`, processes that talk to the service are killed with -9, too.
 */
export function serviceConformance(options: ServiceConformanceOptions): void {
  const { engine, module, service } = options;
  const command = commandFor({
    module,
    config: '<settings>',
    service: typeof service === 'function' ? 'host:port' : service,
  });
  engineConformance({ command, ...options, open: () => openServiceWorld(engine, options) });
  shardConformance({ command, ...options, open: () => openServiceShardWorld(engine, options) });
}
