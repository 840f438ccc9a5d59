import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '@robustmq/core';
import { loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, startNode } from '@robustmq/server';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { command, inFolder, portOf } from '../../server/test/node-fixture.ts';
import { Clients } from '../clients.ts';
import { type HdfsServer, startHdfs } from '../real/hdfs-server.ts';
import { type S3Server, startMinio } from '../real/s3-server.ts';
import { lakeOn } from './hdfs-lake.ts';

let s3: S3Server;
let hdfs: HdfsServer;
beforeAll(async () => {
  [s3, hdfs] = await Promise.all([startMinio(), startHdfs()]);
  await s3.createBucket('moves');
});
afterAll(async () => {
  await s3?.stop();
  await hdfs?.stop();
});

const configFor = ({ endpoint, accessKeyId, secretAccessKey }: S3Server): string => `
engines:
  bucket:
    use: s3
    bucket: moves
    endpoint: ${endpoint}
    accessKeyId: ${accessKeyId}
    secretAccessKey: ${secretAccessKey}
    flushIntervalMs: 50
  lake: ${JSON.stringify(lakeOn(hdfs))}
topics:
  - { match: "mqtt", engine: memory, segment: { bytes: 16KiB } }
storage: { maintenanceIntervalMs: 100, deleteGraceMs: 200 }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

test('a topic moves memory -> local-file -> s3 -> hdfs -> local-file while MQTT and Kafka clients write and a Kafka client reads: dense offsets, none lost, none repeated', async () => {
  await inFolder(async (cwd) => {
    await writeFile(join(cwd, 'robust.yaml'), configFor(s3));
    const plugins = { engines: FIRST_PARTY_ENGINES, brokers: FIRST_PARTY_BROKERS };
    const config = await loadConfig({ file: 'robust.yaml', env: {}, cwd, data: 'data', ...plugins });
    const node = await startNode(config, { logger: silentLogger });
    const publisher = await mqtt.connectAsync(`mqtt://127.0.0.1:${portOf(node, 'mqtt')}`);
    const kafka = new Kafka({ brokers: [`127.0.0.1:${portOf(node, 'kafka')}`], logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    const acknowledged = new Set<string>();
    let isDone = false;
    const publish = async (): Promise<void> => {
      for (let i = 0; !isDone; i++) {
        await publisher.publishAsync('sensors/one', `m${i}`, { qos: 1 });
        acknowledged.add(`m${i}`);
        await sleep(2);
      }
    };
    const produce = async (): Promise<void> => {
      for (let i = 0; !isDone; i++) {
        const value = `k${i}`;
        await producer.send({ topic: 'mqtt', acks: -1, messages: [{ key: 'sensors/two', value }] });
        acknowledged.add(value);
        await sleep(2);
      }
    };
    try {
      const writers = [publish(), produce()];
      const shard = node.storage.shard(await node.storage.ensureTopic('mqtt'), 0);
      for (const engine of ['local', 'bucket', 'lake', 'local']) {
        const before = acknowledged.size;
        await vi.waitFor(() => expect(acknowledged.size).toBeGreaterThan(before + 150), { timeout: 30_000 });
        const altered = await command(['topic', 'alter', 'mqtt', '--engine', engine, '--allow-weaker-durability'], {
          node,
        });
        expect(altered, altered.error).toMatchObject({ code: 0 });
        await vi.waitFor(
          async () =>
            expect((await shard.segments()).some(({ instance, bytes }) => instance === engine && bytes > 0)).toBe(true),
          { timeout: 30_000 },
        );
      }
      await vi.waitFor(() => expect(acknowledged.size).toBeGreaterThan(700), { timeout: 60_000 });
      isDone = true;
      await Promise.all(writers);
      const ports = { kafka: portOf(node, 'kafka'), mqtt: portOf(node, 'mqtt'), admin: portOf(node, 'admin') };
      const found = (await new Clients(ports).kcatAll('mqtt', '%o %s\n')).map((line) => line.split(' '));
      expect(found.map(([offset]) => Number(offset))).toEqual(found.map((_, i) => i));
      expect(found.map(([, value]) => value).toSorted()).toEqual([...acknowledged].toSorted());
    } finally {
      isDone = true;
      await producer.disconnect();
      await publisher.endAsync();
      await node.stop();
    }
  });
}, 240_000);
