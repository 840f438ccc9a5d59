/** An engine whose data is kept by a service that it reaches over HTTP: the one of the template, with a file server in place of a disk. */
import { mkdir } from 'node:fs/promises';
import { Agent } from 'node:http';
import { settingsOf } from '@robustmq/conformance';
import type { EngineContext, EngineDefinition, JsonSchema, SettingsOf, StorageEngine } from '@robustmq/core';
import template from '../../create-robust-engine/template/src/index.ts';
import { remoteFiles } from './remote-files.ts';

const SETTINGS = {
  type: 'object',
  additionalProperties: false,
  required: ['host', 'port', 'dir'],
  properties: {
    host: { type: 'string' },
    port: { type: 'integer', minimum: 1, maximum: 65535 },
    dir: { type: 'string', minLength: 1, description: 'Of the service' },
    timeoutMs: { type: 'integer', minimum: 1, default: 1000, description: 'Of a request' },
  },
} as const satisfies JsonSchema;

const local = template as EngineDefinition; // its settings are filled in below

async function open(ctx: EngineContext<SettingsOf<typeof SETTINGS>>): Promise<StorageEngine> {
  const { host, port, dir, timeoutMs } = ctx.config;
  const agent = new Agent({ keepAlive: true });
  const fs = remoteFiles({ host, port, dir, agent, timeoutMs });
  await mkdir(dir, { recursive: true });
  try {
    const engine = await local.open({ ...ctx, config: settingsOf(local, { dir }), fs });
    const close = engine.close.bind(engine);
    return Object.assign(engine, { close: () => close().finally(() => agent.destroy()) });
  } catch (error) {
    agent.destroy();
    throw error;
  }
}

const engine: EngineDefinition<SettingsOf<typeof SETTINGS>> = {
  ...local,
  name: 'http',
  configSchema: SETTINGS,
  open,
};

export default engine;
