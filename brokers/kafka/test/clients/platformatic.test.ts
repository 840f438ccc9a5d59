import { Admin, Consumer, ProduceAcks, type ProduceOptions, Producer, stringSerializers } from '@platformatic/kafka';
import type { StorageAdapter } from '@robustmq/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningBroker, runBrokerOver, STORAGES } from '../support/run-broker.ts';

let running: RunningBroker<StorageAdapter>;

const base = () => ({ clientId: 'platformatic-test', bootstrapBrokers: [running.address], timeout: 5000, retries: 1 });

describe.each(STORAGES)('@platformatic/kafka 2.12, unmodified, over $over', ({ open }) => {
  beforeAll(async () => {
    running = await runBrokerOver(await open());
  });

  afterAll(() => running.broker.close());

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'produces with %s and fetches the records back',
    async (compression) => {
      const topic = `pf-${compression}`;
      await produce(topic, { compression, acks: ProduceAcks.ALL }, ['one', 'two', 'three']);
      expect(await fetchAll(topic)).toEqual(['0 one', '1 two', '2 three']);
    },
  );

  it('produces idempotently', async () => {
    await produce('pf-idempotent', { idempotent: true }, ['a', 'b']);
    expect(await fetchAll('pf-idempotent')).toEqual(['0 a', '1 b']);
  });

  it('creates and deletes topics', async () => {
    const admin = new Admin(base());
    const [created] = await admin.createTopics({ topics: ['pf-admin'], partitions: 2, replicas: 1 });
    expect(created).toMatchObject({ name: 'pf-admin', partitions: 2, replicas: 1 });
    expect(created?.id).toBe(running.storage.topic('pf-admin')?.id);
    expect(await admin.listTopics()).toContain('pf-admin');
    await admin.deleteTopics({ topics: ['pf-admin'] });
    expect(running.storage.topic('pf-admin')).toBeUndefined();
    await admin.close();
  });
});

async function produce(
  topic: string,
  options: Partial<ProduceOptions<string, string, string, string>>,
  values: string[],
) {
  const producer = new Producer({ ...base(), serializers: stringSerializers, autocreateTopics: true });
  try {
    await producer.send({ ...options, messages: values.map((value) => ({ topic, key: 'k', value })) });
  } finally {
    await producer.close();
  }
}

async function fetchAll(topic: string): Promise<string[]> {
  const consumer = new Consumer({ ...base(), groupId: 'unused' });
  try {
    const metadata = await consumer.metadata({ topics: [topic] });
    const topicId = metadata.topics.get(topic)?.id ?? '';
    const offsets = await consumer.listOffsets({ topics: [topic] });
    const partition = {
      partition: 0,
      currentLeaderEpoch: -1,
      fetchOffset: 0n,
      lastFetchedEpoch: -1,
      partitionMaxBytes: 1_048_576,
    };
    const response = await consumer.fetch({
      ...{ node: 1, minBytes: 1, maxBytes: 1_048_576, maxWaitTime: 1000 },
      topics: [{ topicId, partitions: [partition] }],
    });
    const records = (response.responses[0]?.partitions[0]?.records ?? []).flatMap((batch) =>
      batch.records.map((record) => `${Number(batch.firstOffset) + record.offsetDelta} ${record.value?.toString()}`),
    );
    expect(offsets.get(topic)).toEqual([BigInt(records.length)]);
    return records;
  } finally {
    await consumer.close();
  }
}
