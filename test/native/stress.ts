import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger, Shard } from '@robustmq/core';
import { loadConfig } from '@robustmq/core/config';
import {
  FIRST_PARTY_BROKERS,
  FIRST_PARTY_ENGINES,
  type NodeWorld,
  type RunningNode,
  startNode,
} from '@robustmq/server';
import { expect, vi } from 'vitest';
import { inFolder, urlOf } from '../../server/test/node-fixture.ts';
import { Producer } from './producer.ts';

/** What an engine instance is told: `use`, and its settings. */
export type EngineSettings = Readonly<Record<string, unknown>>;

/** One topic on the store, `live`, and one that is archived to it, `old`. */
export const configFor = (lake: EngineSettings): string => `
engines: { lake: ${JSON.stringify(lake)} }
topics:
  - { match: "live", engine: lake }
  - { match: "old", archive: { to: lake, after: 200, keepLocal: 0 }, segment: { bytes: 64KiB, ms: 100 } }
storage: { maintenanceIntervalMs: 100, manifestIntervalMs: 500, deleteGraceMs: 100, recoverTimeoutMs: 3s }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

/** A node in this process with what `robust.yaml` in the folder says. */
export async function startIn(
  cwd: string,
  logger: Logger,
  { data = 'data', ...world }: Partial<NodeWorld> & { readonly data?: string } = {},
): Promise<RunningNode> {
  const plugins = { engines: FIRST_PARTY_ENGINES, brokers: FIRST_PARTY_BROKERS };
  const config = await loadConfig({ file: 'robust.yaml', env: {}, cwd, data, ...plugins });
  return startNode(config, { ...world, logger });
}

export async function shardOf({ storage }: RunningNode, name: string): Promise<Shard> {
  return storage.shard(await storage.ensureTopic(name), 0);
}

/** Keeps what is logged, each line with all that belongs to it. */
export class Log implements Logger {
  readonly #lines: string[] = [];

  readonly debug: Logger['debug'] = (fields, message) => this.#note(fields, message);
  readonly info: Logger['info'] = this.debug;
  readonly warn: Logger['warn'] = this.debug;
  readonly error: Logger['error'] = this.debug;

  child(): Logger {
    return this;
  }

  get text(): string {
    return this.#lines.join('\n');
  }

  #note(fields: object, message: string): void {
    this.#lines.push(
      `${message} ${JSON.stringify(fields, (_, value) => (value instanceof Error ? told(value) : value))}`,
    );
  }
}

function told(error: Error): object {
  return { ...error, message: error.message };
}

export interface Stage {
  readonly live: Producer;
  readonly old: Producer;
  /** `/readyz` says that the node is not ready, and why. */
  problems(): Promise<string>;
  ready(): Promise<boolean>;
  /** Waits until `/readyz` and the log say this. */
  says(what: RegExp): Promise<void>;
  /** Waits until the log says this: what is over in a moment `/readyz` may never be asked about. */
  logs(what: RegExp): Promise<void>;
}

/** A node that writes to a store and archives to it, while `disturb` is at work; afterwards all is well again by itself. */
export async function underStress(lake: EngineSettings, disturb: (stage: Stage) => Promise<void>): Promise<void> {
  await inFolder(async (cwd) => {
    await writeFile(join(cwd, 'robust.yaml'), configFor(lake));
    const log = new Log();
    const node = await startIn(cwd, log);
    try {
      const [live, old] = [
        new Producer(await shardOf(node, 'live'), 'live'),
        new Producer(await shardOf(node, 'old'), 'old'),
      ];
      const readyz = () => fetch(`${urlOf(node)}/readyz`);
      const problems = async () => (await readyz()).text();
      const ready = async () => (await readyz()).ok;
      const logs = async (what: RegExp) => await vi.waitFor(() => expect(log.text).toMatch(what), { timeout: 100_000 });
      await vi.waitFor(() => expect(live.acknowledged.size).toBeGreaterThan(20), { timeout: 60_000 });
      await disturb({
        live,
        old,
        problems,
        ready,
        says: async (what) => {
          await vi.waitFor(async () => expect(await problems()).toMatch(what), { timeout: 100_000, interval: 50 });
          // it hears of another reason for the same state every ten seconds
          await logs(what);
        },
        logs,
      });
      const before = live.acknowledged.size;
      await vi.waitFor(() => expect(live.acknowledged.size).toBeGreaterThan(before + 50), {
        timeout: 30_000,
        interval: 50,
      });
      await Promise.all([live.finish(), old.finish()]);
      await vi.waitFor(async () => expect(await ready()).toBe(true), { timeout: 70_000, interval: 200 });
      // a failed move rests before it is made again
      await vi.waitFor(
        async () => {
          const segments = await (await shardOf(node, 'old')).segments();
          expect(segments.every(({ instance, state }) => instance === 'lake' && state === 'SEALED')).toBe(true);
        },
        { timeout: 60_000, interval: 200 },
      );
      await live.check();
      await old.check();
      expect(old.acknowledged.size).toBeGreaterThan(0);
    } finally {
      await node.stop();
    }
  });
}

/** @returns how long it took until something that was sent from now on was acknowledged, ms */
export async function timeToAcknowledge(producer: Producer): Promise<number> {
  const since = performance.now();
  const before = producer.acknowledged.size;
  await vi.waitFor(() => expect(producer.acknowledged.size).toBeGreaterThan(before), { timeout: 60_000, interval: 10 });
  return Math.round(performance.now() - since);
}
