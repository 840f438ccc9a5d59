import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { freePort } from '../real/s3-server.ts';

/** `docker/up.sh`, as docker/README.md says it, on free ports and with volumes of its own. */
const UP = join(import.meta.dirname, '../../docker/up.sh');
const PROJECT = `robust-up-${process.pid}`;
const SOON = { timeout: 60_000, interval: 500 };

let ports: Record<'MQTT_PORT' | 'KAFKA_PORT' | 'ADMIN_PORT' | 'PROMETHEUS_PORT', string>;
const run = promisify(execFile);
const up = (...words: string[]) => run(UP, words, { env: { ...process.env, ...ports, COMPOSE_PROJECT_NAME: PROJECT } });
const textOf = async (port: string, path: string): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}${path}`)).text();

beforeAll(async () => {
  const [mqtt, kafka, admin, prometheus] = await Promise.all(Array.from({ length: 4 }, freePort));
  ports = {
    MQTT_PORT: String(mqtt),
    KAFKA_PORT: String(kafka),
    ADMIN_PORT: String(admin),
    PROMETHEUS_PORT: String(prometheus),
  };
  const { stdout } = await up();
  // the next start needs no images made
  expect(stdout).toMatch(new RegExp(`docker compose -f docker/compose.yaml -p ${PROJECT} up`));
});

afterAll(async () => {
  await up('down', '-v');
  for (const kind of ['container', 'volume', 'network']) {
    const all = kind === 'container' ? ['--all'] : [];
    const { stdout } = await run('docker', [kind, 'ls', ...all, '--quiet', '--filter', `name=${PROJECT}`]);
    expect(stdout, `a ${kind} is left`).toBe('');
  }
});

test('the node is ready, its store is there', async () => {
  await vi.waitFor(async () => expect(await textOf(ports.ADMIN_PORT, '/readyz')).toBe('ok\n'), SOON);
  expect(JSON.parse(await textOf(ports.ADMIN_PORT, '/status.json')).engines).toContainEqual(
    expect.objectContaining({ instance: 'cold', use: 's3', health: expect.objectContaining({ status: 'ok' }) }),
  );
});

test('a client of Kafka writes by the address that the node gives it, a client of MQTT reads that, and the other way round', async () => {
  const kafka = new Kafka({ brokers: [`127.0.0.1:${ports.KAFKA_PORT}`], logLevel: logLevel.NOTHING });
  const [admin, producer] = [kafka.admin(), kafka.producer()];
  const mqtt = await connectAsync(`mqtt://127.0.0.1:${ports.MQTT_PORT}`);
  try {
    await Promise.all([admin.connect(), producer.connect()]);
    await admin.createTopics({ topics: [{ topic: 'up', numPartitions: 1 }] });
    const heard: string[] = [];
    mqtt.on('message', (_topic, payload) => heard.push(payload.toString()));
    await mqtt.subscribeAsync('up', { qos: 1 });
    await producer.send({ topic: 'up', messages: [{ value: 'by Kafka' }] });
    await mqtt.publishAsync('up', 'by MQTT', { qos: 1 });
    await vi.waitFor(() => expect(heard).toEqual(['by Kafka', 'by MQTT']), SOON);
    expect(await admin.fetchTopicOffsets('up')).toMatchObject([{ partition: 0, low: '0', high: '2' }]);
  } finally {
    await Promise.all([admin.disconnect(), producer.disconnect(), mqtt.endAsync()]);
  }
});

test('Prometheus scrapes the node', async () => {
  const sampleOf = async (query: string): Promise<unknown> => {
    const { data } = JSON.parse(await textOf(ports.PROMETHEUS_PORT, `/api/v1/query?query=${query}`));
    return data.result[0]?.value[1];
  };
  await vi.waitFor(async () => {
    expect(await sampleOf('up{job="robustmq"}')).toBe('1');
    expect(await sampleOf('robust_ready')).toBe('1');
  }, SOON);
});
