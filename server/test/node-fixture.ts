import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, silentLogger } from '@robustmq/core';
import { type Config, loadConfig } from '@robustmq/core/config';
import {
  FIRST_PARTY_BROKERS,
  FIRST_PARTY_ENGINES,
  type Io,
  type NodeWorld,
  type RunningNode,
  runCommand,
  startNode,
} from '@robustmq/server';

export const FREE_PORTS = ['admin.port=0', 'brokers.mqtt.port=0', 'brokers.kafka.port=0'];

/** A folder that is gone after `run`. */
export async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'robust-node-'));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function configIn(folder: string, sets: readonly string[] = []): Promise<Config> {
  return loadConfig({
    env: {},
    cwd: folder,
    sets: [...FREE_PORTS, ...sets],
    engines: FIRST_PARTY_ENGINES,
    brokers: FIRST_PARTY_BROKERS,
  });
}

export interface Given {
  readonly sets?: readonly string[];
  readonly world?: Partial<NodeWorld>;
  /** Changes the config before the start. */
  readonly change?: (config: Config) => Config;
}

/** A whole node in this process, on free ports, in a folder of its own. */
export function withNode<T>(given: Given, run: (node: RunningNode, folder: string) => Promise<T>): Promise<T> {
  return inFolder(async (folder) => {
    const config = await configIn(folder, given.sets);
    const node = await startNode(given.change?.(config) ?? config, { logger: silentLogger, ...given.world });
    try {
      return await run(node, folder);
    } finally {
      await node.stop();
    }
  });
}

export function urlOf(node: RunningNode): string {
  const admin = node.listeners().find(({ protocol }) => protocol === 'admin');
  return `http://127.0.0.1:${admin?.port}`;
}

export function portOf(node: RunningNode, protocol: string): number {
  return node.listeners().find((listener) => listener.protocol === protocol)?.port ?? 0;
}

export interface CommandResult {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs a command of the CLI in this process. */
export async function command(
  words: readonly string[],
  options: {
    readonly node?: RunningNode;
    readonly cwd?: string;
    readonly stdin?: string;
    readonly signal?: AbortSignal;
  } = {},
): Promise<CommandResult> {
  let out = '';
  let error = '';
  const io: Io = {
    env: options.node === undefined ? {} : { ROBUST_ADMIN_URL: urlOf(options.node) },
    cwd: options.cwd ?? tmpdir(),
    stdin: inputOf(options.stdin ?? ''),
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    signal: options.signal ?? new AbortController().signal,
  };
  const code = await runCommand(words, io);
  return { code, out, error };
}

async function* inputOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Keeps what is logged. */
export function listeningLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const add = (_fields: object, message: string): void => {
    lines.push(message);
  };
  const logger: Logger & { readonly lines: string[] } = {
    lines,
    debug: add,
    info: add,
    warn: add,
    error: add,
    child: () => logger,
  };
  return logger;
}
