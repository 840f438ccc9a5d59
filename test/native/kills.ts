import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { expect } from 'vitest';
import { inFolder } from '../../server/test/node-fixture.ts';
import { Clients, eventually } from '../clients.ts';
import { type Ports, ServerProcess } from '../crash/server-process.ts';
import type { EngineSettings } from './stress.ts';

const TOPICS = ['live', 'old'];
const LIVES = 3;
const WRITERS = 8;
const WRITES = 150;
/** HDFS closes a file that it was killed in the middle of a minute after it is back, or two; until then the shard can not be opened. */
const BEGINS_WITHIN_MS = 300_000;

const configFor = (lake: EngineSettings): string => `
engines: { lake: ${JSON.stringify(lake)} }
topics:
  - { match: "live", engine: lake }
  - { match: "old", archive: { to: lake, after: 200, keepLocal: 0 }, segment: { bytes: 16KiB, ms: 100 } }
storage: { maintenanceIntervalMs: 100, deleteGraceMs: 100, recoverTimeoutMs: 3s }
`;

/** A server whose trouble the node is killed in. */
export interface Troubled {
  kill(): Promise<void>;
  start(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/**
 * A node under load is killed three times while its store stands still or is gone: it has lost nothing, and doubled nothing.
 * @param afterwards what else has to hold, with the node running again
 */
export async function killedInTrouble(
  server: Troubled,
  lake: EngineSettings,
  afterwards: () => Promise<void> = async () => {},
): Promise<void> {
  await inFolder(async (cwd) => {
    await writeFile(join(cwd, 'robust.yaml'), configFor(lake));
    const lives = new Lives(server, cwd);
    for (let round = 0; round < LIVES; round++) await lives.live(round);
    await lives.check(afterwards);
  });
}

class Lives {
  /** By topic, the value at each offset. */
  readonly #acknowledged = new Map<string, Map<number, string>>(TOPICS.map((topic) => [topic, new Map()]));
  readonly #sent = new Set<string>();
  readonly #server: Troubled;
  readonly #cwd: string;
  /** The same in each life. */
  #ports: Ports | undefined;

  constructor(server: Troubled, cwd: string) {
    this.#server = server;
    this.#cwd = cwd;
  }

  /** A node under load, killed while its store stands still or is gone. */
  async live(round: number): Promise<void> {
    const node = this.#node();
    let isDone = false;
    const writers: Promise<void>[] = [];
    const producers: Producer[] = [];
    try {
      await node.ready(); // also while the store does not answer
      this.#ports = node.ports;
      if (round > 0) await (round % 2 === 1 ? this.#server.resume() : this.#server.start());
      const kafka = new Kafka({
        brokers: [`127.0.0.1:${node.ports.kafka}`],
        logLevel: logLevel.NOTHING,
        requestTimeout: 5000,
        retry: { retries: 2, initialRetryTime: 50, maxRetryTime: 300 },
      });
      for (const topic of TOPICS) {
        const producer = kafka.producer({ retry: { retries: 0 } });
        producers.push(producer);
        await producer.connect();
        for (let i = 0; i < WRITERS; i++)
          writers.push(this.#write(producer, topic, `${topic}-${round}-${i}`, () => isDone));
      }
      const before = this.#counts();
      await eventually(
        () => this.#counts().map((count, i) => count - (before[i] ?? 0)),
        (grown) => grown.every((count) => count > WRITES),
        BEGINS_WITHIN_MS,
      ).catch((error: unknown) => {
        throw new Error(`in life ${round}: ${error instanceof Error ? error.message : error}\n${node.log}`);
      });
      if (round % 2 === 0) await this.#server.pause();
      else await this.#server.kill();
    } finally {
      await node.kill();
      isDone = true;
      await Promise.all(writers);
      for (const producer of producers) await producer.disconnect();
    }
  }

  /** All that was acknowledged is there, where it was said to be, and nothing is there twice or from nowhere. */
  async check(afterwards: () => Promise<void>): Promise<void> {
    const node = this.#node();
    try {
      await node.ready();
      await (LIVES % 2 === 1 ? this.#server.resume() : this.#server.start());
      const clients = new Clients(node.ports);
      await eventually(
        async () => (await fetch(`${clients.admin}/readyz`)).ok,
        (ok) => ok,
        60_000,
      );
      for (const topic of TOPICS) {
        const found = (await clients.kcatAll(topic, '%o %s\n')).map((line) => line.split(' '));
        expect(found.map(([offset]) => Number(offset))).toEqual(found.map((_, i) => i));
        expect(new Set(found.map(([, value]) => value)).size).toBe(found.length);
        for (const [, value] of found) expect(this.#sent.has(value ?? ''), value).toBe(true);
        const there = new Map(found.map(([offset, value]) => [Number(offset), value]));
        const kept = this.#acknowledged.get(topic) ?? new Map<number, string>();
        expect(kept.size).toBeGreaterThan(LIVES * WRITES);
        for (const [offset, value] of kept) expect(there.get(offset)).toBe(value);
      }
      await afterwards();
    } finally {
      await node.kill();
    }
  }

  #node(): ServerProcess {
    return new ServerProcess({
      data: join(this.#cwd, 'data'),
      config: join(this.#cwd, 'robust.yaml'),
      cwd: this.#cwd,
      ...(this.#ports && { ports: this.#ports }),
    });
  }

  #counts(): number[] {
    return TOPICS.map((topic) => this.#acknowledged.get(topic)?.size ?? 0);
  }

  /** Sends values, none a second time, until the node or the caller ends it. */
  async #write(producer: Producer, topic: string, name: string, isDone: () => boolean): Promise<void> {
    for (let i = 0; !isDone(); i++) {
      const value = `${name}-${i}`;
      this.#sent.add(value);
      try {
        const [reply] = await producer.send({ topic, acks: -1, messages: [{ value, partition: 0 }] });
        if (reply?.baseOffset !== undefined) this.#acknowledged.get(topic)?.set(Number(reply.baseOffset), value);
      } catch {
        // it may be there once: it is not sent again
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}
