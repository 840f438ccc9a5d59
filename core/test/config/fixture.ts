import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, ConfigError, type ConfigIssue, loadConfig } from '@robustmq/core/config';
import { BROKER_API_VERSION, defineBroker } from '../../src/broker.ts';
import { defineEngine, ENGINE_API_VERSION } from '../../src/engine.ts';

const never = (): Promise<never> => Promise.reject(new Error('not opened in these tests'));

const capabilities = { durability: 'none', placement: 'node', append: true, maxBatchBytes: 1_048_576 } as const;

export const memoryEngine = defineEngine({
  name: 'memory',
  apiVersion: ENGINE_API_VERSION,
  version: '1.0.0',
  configSchema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      limitBytes: { type: 'integer', unit: 'bytes', minimum: 1024, default: 67_108_864, description: 'Most bytes' },
    },
  },
  capabilities,
  open: never,
});

export const fileEngine = defineEngine({
  ...memoryEngine,
  name: 'local-file',
  configSchema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      dir: { type: 'string' },
      idleMarkMs: { type: 'integer', unit: 'ms', default: 50, minimum: 1 },
    },
  },
});

function broker(name: string, port: number) {
  return defineBroker({
    name,
    apiVersion: BROKER_API_VERSION,
    version: '1.0.0',
    configSchema: {
      type: 'object',
      additionalProperties: false,
      properties: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'integer', minimum: 0, maximum: 65_535, default: port },
        maxConnections: { type: 'integer', default: 100 },
        idleTimeoutMs: { type: 'integer', minimum: 1 },
      },
    },
    open: never,
  });
}

export const engineTable = new Map<string, () => Promise<unknown>>([
  ['local-file', async () => ({ default: fileEngine })],
  ['memory', async () => ({ default: memoryEngine })],
]);

export const brokerTable = new Map<string, () => Promise<unknown>>([
  ['mqtt', async () => ({ default: broker('mqtt', 1883) })],
  ['kafka', async () => ({ default: broker('kafka', 9092) })],
]);

export interface Given {
  readonly yaml?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly sets?: readonly string[];
  readonly data?: string;
  /** More files of the folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Loads a config from a folder of its own, where the file is called robust.yaml. */
export async function load(given: Given): Promise<Config & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'robust-config-'));
  try {
    if (given.yaml !== undefined) await writeFile(join(folder, 'robust.yaml'), given.yaml);
    for (const [name, text] of Object.entries(given.files ?? {})) await writeFile(join(folder, name), text);
    const config = await loadConfig({
      file: given.yaml === undefined ? undefined : 'robust.yaml',
      env: given.env ?? {},
      sets: given.sets ?? [],
      data: given.data,
      cwd: folder,
      engines: engineTable,
      brokers: brokerTable,
    });
    return { ...config, folder };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The issues that loading ends with. */
export async function issues(given: Given): Promise<readonly ConfigIssue[]> {
  try {
    await load(given);
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  throw new Error('expected the config to be refused');
}

/** The message of the one thing that is wrong. */
export async function refusal(given: Given): Promise<string> {
  try {
    await load(given);
  } catch (error) {
    if (error instanceof ConfigError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error('expected the config to be refused');
}
