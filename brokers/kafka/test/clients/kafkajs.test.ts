import type { StorageAdapter } from '@robustmq/core';
import { CompressionTypes, ConfigSource, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningBroker, runBrokerOver, STORAGES } from '../support/run-broker.ts';
import { kafkajsFetch } from './kafkajs-fetch.ts';

let running: RunningBroker<StorageAdapter>;
let kafka: Kafka;

describe.each(STORAGES)('kafkajs 2.2, unmodified, over $over', ({ open }) => {
  beforeAll(async () => {
    running = await runBrokerOver(await open());
    kafka = new Kafka({
      clientId: 'kafkajs-test',
      brokers: [running.address],
      logLevel: logLevel.NOTHING,
      connectionTimeout: 3000,
      requestTimeout: 5000,
      retry: { retries: 2, initialRetryTime: 50 },
    });
  });

  afterAll(() => running.broker.close());

  it('produces with acks and reads the records back from an assigned partition', async () => {
    const producer = kafka.producer();
    await producer.connect();
    const sent = await producer.send({
      topic: 'js-plain',
      messages: [
        { key: 'a', value: 'one', headers: { h: 'x' } },
        { key: 'b', value: 'two' },
      ],
    });
    expect(sent).toMatchObject([{ topicName: 'js-plain', partition: 0, errorCode: 0, baseOffset: '0' }]);
    await producer.send({ topic: 'js-plain', acks: 0, messages: [{ value: 'no ack' }] });
    await producer.send({ topic: 'js-plain', acks: 1, messages: [{ value: null, key: 'tombstone' }] });
    await producer.disconnect();
    const read = await kafkajsFetch(running.address, 'js-plain', 0, 0);
    expect(read.map(({ offset, key, value }) => [offset, key?.toString(), value?.toString()])).toEqual([
      ['0', 'a', 'one'],
      ['1', 'b', 'two'],
      ['2', undefined, 'no ack'],
      ['3', 'tombstone', undefined],
    ]);
    expect(read[0]?.headers).toEqual({ h: Buffer.from('x') });
  });

  it('produces with gzip, and idempotently', async () => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    for (let i = 0; i < 3; i++)
      await producer.send({
        topic: 'js-gzip',
        compression: CompressionTypes.GZIP,
        messages: [{ value: `value ${i}` }, { value: `again ${i}` }],
      });
    await producer.disconnect();
    const read = await kafkajsFetch(running.address, 'js-gzip', 0, 2);
    expect(read.map(({ offset, value }) => `${offset} ${value}`)).toEqual([
      '2 value 1',
      '3 again 1',
      '4 value 2',
      '5 again 2',
    ]);
  });

  it('creates, describes, lists and deletes topics, and asks for offsets', async () => {
    const admin = kafka.admin();
    await admin.connect();
    const created = await admin.createTopics({
      topics: [{ topic: 'js-admin', numPartitions: 3, configEntries: [{ name: 'retention.ms', value: '1000' }] }],
    });
    expect(created).toBe(true);
    expect(await admin.createTopics({ topics: [{ topic: 'js-admin' }] })).toBe(false);
    expect(await admin.listTopics()).toContain('js-admin');
    const { topics } = await admin.fetchTopicMetadata({ topics: ['js-admin'] });
    expect(topics[0]?.partitions.map(({ partitionId, leader }) => [partitionId, leader])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({ topic: 'js-admin', messages: [{ partition: 1, value: 'x', timestamp: '5000' }] });
    await producer.disconnect();
    const offsets = await admin.fetchTopicOffsets('js-admin');
    expect(offsets.find(({ partition }) => partition === 1)).toEqual({
      partition: 1,
      offset: '1',
      high: '1',
      low: '0',
    });
    const byTime = await admin.fetchTopicOffsetsByTimestamp('js-admin', 4000);
    expect(byTime.find(({ partition }) => partition === 1)?.offset).toBe('0');
    const configs = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: 'js-admin' }] });
    const retention = configs.resources[0]?.configEntries.find(({ configName }) => configName === 'retention.ms');
    expect(retention).toMatchObject({ configValue: '1000', configSource: ConfigSource.TOPIC_CONFIG });
    expect(await admin.describeCluster()).toMatchObject({ clusterId: 'test-cluster', controller: 1 });
    await admin.deleteTopics({ topics: ['js-admin'] });
    expect(await admin.listTopics()).not.toContain('js-admin');
    await admin.disconnect();
  });

  it('is told what is wrong with a topic it wants to create', async () => {
    const admin = kafka.admin();
    await admin.connect();
    const create = (topic: object) => admin.createTopics({ topics: [{ topic: 'js-bad', ...topic }] });
    await expect(create({ configEntries: [{ name: 'no.such', value: '1' }] })).rejects.toMatchObject({
      errors: [{ type: 'INVALID_CONFIG' }],
    });
    await expect(create({ replicationFactor: 3 })).rejects.toMatchObject({
      errors: [{ type: 'INVALID_REPLICATION_FACTOR' }],
    });
    await expect(create({ numPartitions: 0 })).rejects.toMatchObject({ errors: [{ type: 'INVALID_PARTITIONS' }] });
    await admin.disconnect();
  });
});
