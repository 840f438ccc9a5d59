import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Clients, eventually } from '../clients.ts';
import { type Ports, ServerProcess } from '../crash/server-process.ts';
import { type S3Server, startMinio } from '../real/s3-server.ts';

const TOPICS = ['live', 'old'];
const LIVES = 3;
const WRITERS = 8;

let server: S3Server;
let cwd: string;
beforeAll(async () => {
  server = await startMinio();
  await server.createBucket('kills');
  cwd = await mkdtemp(join(tmpdir(), 'robust-kill-'));
});
afterAll(async () => {
  await server.stop();
  await rm(cwd, { recursive: true, force: true });
});

const configFor = ({ endpoint, accessKeyId, secretAccessKey }: S3Server): string => `
engines:
  lake:
    use: s3
    bucket: kills
    endpoint: ${endpoint}
    accessKeyId: ${accessKeyId}
    secretAccessKey: ${secretAccessKey}
    flushIntervalMs: 20
    requestTimeoutMs: 1s
    patienceMs: 2s
topics:
  - { match: "live", engine: lake }
  - { match: "old", archive: { to: lake, after: 200, keepLocal: 0 }, segment: { bytes: 16KiB, ms: 100 } }
storage: { maintenanceIntervalMs: 100, deleteGraceMs: 100, recoverTimeoutMs: 3s }
`;

/** What was acknowledged: by topic, the value at each offset. */
const acknowledged = new Map<string, Map<number, string>>(TOPICS.map((topic) => [topic, new Map()]));
const sent = new Set<string>();

/** Sends values, none a second time, until the node or the caller ends it. */
async function write(producer: Producer, topic: string, name: string, isDone: () => boolean): Promise<void> {
  for (let i = 0; !isDone(); i++) {
    const value = `${name}-${i}`;
    sent.add(value);
    try {
      const [reply] = await producer.send({ topic, acks: -1, messages: [{ value, partition: 0 }] });
      if (reply?.baseOffset !== undefined) acknowledged.get(topic)?.set(Number(reply.baseOffset), value);
    } catch {
      // it may be there once: it is not sent again
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A node under load, killed while its store stands still or is gone. */
async function life(round: number, ports: Ports | undefined): Promise<Ports> {
  const node = new ServerProcess({
    data: join(cwd, 'data'),
    config: join(cwd, 'robust.yaml'),
    cwd,
    ...(ports && { ports }),
  });
  let isDone = false;
  let writers: Promise<void>[] = [];
  const producers: Producer[] = [];
  try {
    await node.ready(); // also while the store does not answer
    if (round > 0) await (round % 2 === 1 ? server.resume() : server.start());
    const brokers = [`127.0.0.1:${node.ports.kafka}`];
    const kafka = new Kafka({
      brokers,
      logLevel: logLevel.NOTHING,
      requestTimeout: 5000,
      retry: { retries: 2, initialRetryTime: 50, maxRetryTime: 300 },
    });
    for (const topic of TOPICS) {
      const producer = kafka.producer({ retry: { retries: 0 } });
      producers.push(producer);
      await producer.connect();
      for (let i = 0; i < WRITERS; i++)
        writers = [...writers, write(producer, topic, `${topic}-${round}-${i}`, () => isDone)];
    }
    const before = TOPICS.map((topic) => acknowledged.get(topic)?.size ?? 0);
    const grown = () => TOPICS.map((topic, i) => (acknowledged.get(topic)?.size ?? 0) - (before[i] ?? 0));
    await eventually(grown, (counts) => counts.every((count) => count > 150));
    if (round % 2 === 0) await server.pause();
    else await server.kill();
    return node.ports;
  } finally {
    await node.kill();
    isDone = true;
    await Promise.all(writers);
    for (const producer of producers) await producer.disconnect();
  }
}

test('a node that is killed while its store is in trouble has lost nothing, and doubled nothing', async () => {
  await writeFile(join(cwd, 'robust.yaml'), configFor(server));
  let ports: Ports | undefined;
  for (let round = 0; round < LIVES; round++) ports = await life(round, ports);
  const node = new ServerProcess({
    data: join(cwd, 'data'),
    config: join(cwd, 'robust.yaml'),
    cwd,
    ...(ports && { ports }),
  });
  try {
    await node.ready();
    await server.resume();
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
      for (const [, value] of found) expect(sent.has(value ?? ''), value).toBe(true);
      const there = new Map(found.map(([offset, value]) => [Number(offset), value]));
      const kept = acknowledged.get(topic) ?? new Map<number, string>();
      expect(kept.size).toBeGreaterThan(LIVES * 150);
      for (const [offset, value] of kept) expect(there.get(offset)).toBe(value);
    }
  } finally {
    await node.kill();
  }
}, 180_000);
