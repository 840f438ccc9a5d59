import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serviceConformance } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import { afterAll, describe, it } from 'vitest';
import http from './http-engine.ts';
import { fileServer } from './remote-files.ts';

/** Everything, over a connection, with an engine that is known to be sound. */
const service = await fileServer();
const root = await mkdtemp(join(tmpdir(), 'robust-service-'));
afterAll(async () => {
  await service.close();
  await rm(root, { recursive: true });
});

serviceConformance({
  describe,
  it,
  engine: http as EngineDefinition, // the suite's settings are any
  service: { host: '127.0.0.1', port: service.port },
  settings: ({ host, port, world }) => ({ host, port, dir: join(root, world) }),
  module: import.meta.resolve('./http-engine.ts'),
});
