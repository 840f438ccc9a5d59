import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerProcess } from '../crash/server-process.ts';
import { installKafkaTools, kafkaTool } from './kafka-tools.ts';

let data: string;
let server: ServerProcess;
let at: readonly string[];

beforeAll(async () => {
  await installKafkaTools();
  data = await mkdtemp(join(tmpdir(), 'robust-java-'));
  server = new ServerProcess({ data });
  await server.ready();
  at = ['--bootstrap-server', `127.0.0.1:${server.ports.kafka}`];
});

afterAll(async () => {
  await server.kill();
  await rm(data, { recursive: true });
});

describe('the tools of Apache Kafka 4.1, unmodified', () => {
  test('create, describe and delete a topic', async () => {
    await kafkaTool('topics', [
      ...at,
      '--create',
      '--topic',
      'java',
      '--partitions',
      '3',
      '--config',
      'retention.ms=60000',
    ]);
    const described = await kafkaTool('topics', [...at, '--describe', '--topic', 'java']);
    expect(described).toMatch(/PartitionCount: 3\s+ReplicationFactor: 1/);
    expect(described).toMatch(/retention\.ms=60000/);
    await expect(kafkaTool('topics', [...at, '--create', '--topic', 'java'])).rejects.toThrow(/exists already/);
    await kafkaTool('topics', [...at, '--delete', '--topic', 'java']);
    expect(await kafkaTool('topics', [...at, '--list'])).not.toMatch(/java/);
  });

  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])(
    'the idempotent producer writes with %s, the consumer reads it',
    async (codec) => {
      const topic = `java-${codec}`;
      const lines = Array.from({ length: 500 }, (_, i) => `${codec} line ${i}`);
      await kafkaTool(
        'produce',
        [...at, '--topic', topic, '--compression-codec', codec],
        lines.map((l) => `${l}\n`).join(''),
      );
      const read = await kafkaTool('consume', [
        ...at,
        ...['--topic', topic, '--partition', '0', '--offset', 'earliest', '--max-messages', '500'],
      ]);
      expect(read.split('\n').filter((line) => line.startsWith(codec))).toEqual(lines);
      expect(await kafkaTool('offsets', [...at, '--topic', topic])).toContain(`${topic}:0:500`);
      expect(await kafkaTool('offsets', [...at, '--topic', topic, '--time', 'earliest'])).toContain(`${topic}:0:0`);
      expect(await kafkaTool('offsets', [...at, '--topic', topic, '--time', 'max-timestamp'])).toMatch(
        /java-\w+:0:\d+/,
      );
    },
  );

  test('the performance tool gets all of its records acknowledged', async () => {
    const report = await kafkaTool('perf', [
      ...['--topic', 'java-perf', '--num-records', '20000', '--record-size', '1024', '--throughput', '-1'],
      ...['--producer-props', 'acks=all', `bootstrap.servers=${at[1]}`],
    ]);
    expect(report).toMatch(/20000 records sent/);
    expect(await kafkaTool('offsets', [...at, '--topic', 'java-perf'])).toContain('java-perf:0:20000');
  });

  test('a transactional producer is told that there are no transactions, and does not hang', async () => {
    await expect(
      kafkaTool('perf', [
        ...['--topic', 'java-tx', '--num-records', '10', '--record-size', '10', '--throughput', '-1'],
        ...['--transactional-id', 'tx', '--producer-props', `bootstrap.servers=${at[1]}`],
      ]),
    ).rejects.toThrow(/transactions are not supported yet/);
  });
});
