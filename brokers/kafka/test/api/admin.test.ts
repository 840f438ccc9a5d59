import { STORAGE_CODES, StorageError } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/error-codes.ts';
import { STORAGE_TO_KAFKA } from '../../src/storage-errors.ts';
import { makeBatch } from '../support/batch.ts';
import { CoreClient } from '../support/core-client.ts';

const KEYS = {
  ListOffsets: 2,
  Metadata: 3,
  FindCoordinator: 10,
  ApiVersions: 18,
  CreateTopics: 19,
  DeleteTopics: 20,
  InitProducerId: 22,
  OffsetForLeaderEpoch: 23,
  DescribeConfigs: 32,
  DescribeCluster: 60,
} as const;

const NO_ID = '00000000-0000-0000-0000-000000000000';

describe('ApiVersions', () => {
  it('lists what is served', async () => {
    const answer = await new CoreClient().call(KEYS.ApiVersions, 4, {
      clientSoftwareName: 'x',
      clientSoftwareVersion: '1',
    });
    expect(answer).toMatchObject({ errorCode: 0 });
    expect(answer.apiKeys).toContainEqual({ apiKey: 1, minVersion: 4, maxVersion: 17 });
  });

  it('answers a version from the future in version 0, and the connection stays', async () => {
    const client = new CoreClient();
    const frame = client.frame(KEYS.ApiVersions, 0, {});
    frame.writeInt16BE(99, 6);
    client.connection.receive(frame);
    expect(await client.answer(KEYS.ApiVersions, 0)).toMatchObject({
      errorCode: ERRORS.UNSUPPORTED_VERSION,
      apiKeys: [{ apiKey: KEYS.ApiVersions, minVersion: 0, maxVersion: 4 }],
    });
    expect(client.closed).toBeUndefined();
  });

  it('refuses a client that calls itself nothing', async () => {
    const answer = await new CoreClient().call(KEYS.ApiVersions, 3, {
      clientSoftwareName: '',
      clientSoftwareVersion: '-',
    });
    expect(answer).toMatchObject({ errorCode: ERRORS.INVALID_REQUEST });
  });
});

describe('Metadata', () => {
  const request = (names: readonly string[] | null, allowAutoTopicCreation = false) => ({
    topics: names?.map((name) => ({ name, topicId: NO_ID })) ?? null,
    allowAutoTopicCreation,
  });

  it.each([0, 1, 4, 9, 13])('version %i describes node, topics and leaders', async (version) => {
    const client = new CoreClient();
    const topic = await client.storage.createTopic('t', { overrides: { shards: 2 } });
    client.storage.shard(topic, 1).unavailable = new StorageError('NODE_DOWN', 'down');
    expect(await client.call(KEYS.Metadata, version, request(['t']))).toMatchObject({
      brokers: [{ nodeId: 1, host: 'broker.test', port: 9092 }],
      topics: [
        {
          ...{ errorCode: 0, name: 't', topicId: version >= 10 ? topic.id : NO_ID },
          partitions: [
            { errorCode: 0, partitionIndex: 0, leaderId: 1, leaderEpoch: version >= 7 ? 5 : -1 },
            { errorCode: ERRORS.LEADER_NOT_AVAILABLE, partitionIndex: 1, leaderId: -1 },
          ],
        },
      ],
    });
  });

  it('gives all topics for none named in version 0 and for null later, and none for none', async () => {
    const client = new CoreClient();
    await client.storage.createTopic('a');
    await client.storage.createTopic('b');
    const names = async (version: number, topics: readonly string[] | null) =>
      ((await client.call(KEYS.Metadata, version, request(topics))).topics as { name: string }[]).map(
        ({ name }) => name,
      );
    expect(await names(0, [])).toEqual(['a', 'b']);
    expect(await names(5, null)).toEqual(['a', 'b']);
    expect(await names(5, [])).toEqual([]);
  });

  it('creates a topic only for who allows and may', async () => {
    const client = new CoreClient();
    const code = async (names: readonly string[], allow: boolean) =>
      ((await client.call(KEYS.Metadata, 5, request(names, allow))).topics as { errorCode: number }[])[0]?.errorCode;
    expect(await code(['new'], false)).toBe(ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    expect(await code(['new'], true)).toBe(0);
    expect(await code(['no/name'], true)).toBe(ERRORS.INVALID_TOPIC_EXCEPTION);
    client.storage.autoCreate = false;
    expect(await code(['other'], true)).toBe(ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it('finds topics by id, and tells what may be done with them', async () => {
    const client = new CoreClient({ authorize: (_, operation) => operation !== 'delete' });
    const topic = await client.storage.createTopic('t');
    const unknown = '12345678-1234-4234-8234-123456789012';
    const topics = [topic.id, unknown].map((topicId) => ({ name: null, topicId }));
    expect(await client.call(KEYS.Metadata, 12, { topics, includeTopicAuthorizedOperations: true })).toMatchObject({
      topics: [
        { errorCode: 0, name: 't', topicAuthorizedOperations: 0b1101_1011_1000 },
        { errorCode: ERRORS.UNKNOWN_TOPIC_ID, name: null, topicId: unknown },
      ],
    });
  });

  it('hides from a list what may not be described', async () => {
    const client = new CoreClient({
      authorize: (_, __, resource) => resource.type !== 'topic' || resource.name !== 'secret',
    });
    await client.storage.createTopic('secret');
    await client.storage.createTopic('open');
    expect((await client.call(KEYS.Metadata, 5, request(null))).topics).toMatchObject([{ name: 'open' }]);
    expect((await client.call(KEYS.Metadata, 5, request(['secret']))).topics).toMatchObject([
      { errorCode: ERRORS.TOPIC_AUTHORIZATION_FAILED },
    ]);
  });
});

describe('ListOffsets', () => {
  async function offsets(timestamp: number, times: readonly number[] = [1000, 5000, 3000], version = 7) {
    const client = new CoreClient();
    const topic = await client.storage.createTopic('t');
    for (const time of times) await client.storage.shard(topic, 0).append([makeBatch({ timestamp: time })]);
    const partitions = [{ partitionIndex: 0, timestamp }];
    const answer = await client.call(KEYS.ListOffsets, version, { replicaId: -1, topics: [{ name: 't', partitions }] });
    return (answer as { topics: { partitions: object[] }[] }).topics[0]?.partitions[0];
  }

  it('finds the end, the start, and the first record at or after a time', async () => {
    expect(await offsets(-1)).toMatchObject({ errorCode: 0, offset: 3, timestamp: -1, leaderEpoch: 5 });
    expect(await offsets(-2)).toMatchObject({ errorCode: 0, offset: 0 });
    expect(await offsets(-4)).toMatchObject({ errorCode: 0, offset: 0 });
    expect(await offsets(-5)).toMatchObject({ errorCode: 0, offset: -1 });
    expect(await offsets(2000)).toMatchObject({ errorCode: 0, offset: 1, timestamp: 5000 });
    expect(await offsets(6000)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
    expect(await offsets(-9)).toMatchObject({ errorCode: ERRORS.INVALID_REQUEST });
  });

  it('finds the record with the largest timestamp', async () => {
    expect(await offsets(-3)).toMatchObject({ errorCode: 0, offset: 1, timestamp: 5000 });
    const now = 1_700_000_000_000;
    expect(await offsets(-3, [now, now + 86_400_000, now + 3])).toMatchObject({
      offset: 1,
      timestamp: now + 86_400_000,
    });
    expect(await offsets(-3, [])).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });
});

describe('CreateTopics and DeleteTopics', () => {
  const wanted = (topic: object) => ({
    topics: [{ name: 't', numPartitions: -1, replicationFactor: -1, assignments: [], configs: [], ...topic }],
    ...{ timeoutMs: 1000, validateOnly: false },
  });
  const config = (name: string, value: string | null) => wanted({ configs: [{ name, value }] });

  it.each([2, 4, 5, 7])('version %i creates a topic with its configs', async (version) => {
    const client = new CoreClient();
    const request = wanted({
      numPartitions: 3,
      replicationFactor: 1,
      configs: [{ name: 'retention.ms', value: '1234' }],
    });
    expect(await client.call(KEYS.CreateTopics, version, request)).toMatchObject({
      topics: [{ name: 't', errorCode: 0, errorMessage: null }],
    });
    expect(client.storage.topic('t')).toMatchObject({ shards: 3, settings: { retention: { ms: 1234 } } });
  });

  it.each([
    ['twice the same name', { topics: [...wanted({}).topics, ...wanted({}).topics] }, 'INVALID_REQUEST'],
    ['no partitions', wanted({ numPartitions: 0 }), 'INVALID_PARTITIONS'],
    ['two replicas', wanted({ replicationFactor: 2 }), 'INVALID_REPLICATION_FACTOR'],
    ['another node', wanted({ assignments: [{ partitionIndex: 0, brokerIds: [9] }] }), 'INVALID_REPLICA_ASSIGNMENT'],
    ['a bad name', wanted({ name: 'no/name' }), 'INVALID_TOPIC_EXCEPTION'],
    ['an unknown config', config('no.such.config', '1'), 'INVALID_CONFIG'],
    ['a bad number', config('retention.ms', 'soon'), 'INVALID_CONFIG'],
    ['a number out of range', config('retention.ms', '-2'), 'INVALID_CONFIG'],
    ['a bad policy', config('cleanup.policy', 'burn'), 'INVALID_CONFIG'],
    ['no engine', config('robustmq.engine', ''), 'INVALID_CONFIG'],
  ] as const)('refuses %s with a message', async (_, request, error) => {
    const client = new CoreClient();
    const answer = await client.call(KEYS.CreateTopics, 5, { timeoutMs: 1000, validateOnly: false, ...request });
    expect(answer).toMatchObject({ topics: [{ errorCode: ERRORS[error], errorMessage: expect.stringMatching(/./) }] });
    expect([...client.storage.topics()]).toEqual([]);
  });

  it('answers also to the longest name there can be', async () => {
    const client = new CoreClient();
    const name = 'é'.repeat(16_383);
    expect(await client.call(KEYS.CreateTopics, 4, wanted({ name }))).toMatchObject({
      topics: [{ name, errorCode: ERRORS.INVALID_TOPIC_EXCEPTION }],
    });
    expect(await client.call(KEYS.Metadata, 8, { topics: [{ name }], allowAutoTopicCreation: true })).toMatchObject({
      topics: [{ name, errorCode: ERRORS.INVALID_TOPIC_EXCEPTION }],
    });
  });

  it('takes assignments to this node, both policies, and null for the default', async () => {
    const client = new CoreClient();
    const assignments = [1, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }));
    const configs = [
      { name: 'cleanup.policy', value: 'delete, compact' },
      { name: 'retention.bytes', value: null },
      { name: 'retention.ms', value: '9223372036854775807' },
      { name: 'robustmq.engine', value: 'cold' },
    ];
    await client.call(KEYS.CreateTopics, 5, wanted({ assignments, configs }));
    expect(client.storage.topic('t')).toMatchObject({
      ...{ shards: 2 },
      settings: { cleanup: 'compact,delete', engine: 'cold', retention: { ms: Number.MAX_SAFE_INTEGER } },
    });
  });

  it('only checks when asked to', async () => {
    const client = new CoreClient();
    expect(await client.call(KEYS.CreateTopics, 5, { ...wanted({}), validateOnly: true })).toMatchObject({
      topics: [{ errorCode: 0, numPartitions: 1 }],
    });
    expect([...client.storage.topics()]).toEqual([]);
  });

  it('deletes by name and by id, and not what the system needs', async () => {
    const client = new CoreClient();
    const { id } = await client.storage.createTopic('a');
    await client.storage.createTopic('b');
    await client.storage.createTopic('__state');
    expect(await client.call(KEYS.DeleteTopics, 1, { topicNames: ['b', 'c', '__state'], timeoutMs: 1 })).toMatchObject({
      responses: [
        { name: 'b', errorCode: 0 },
        { name: 'c', errorCode: ERRORS.UNKNOWN_TOPIC_OR_PARTITION },
        { name: '__state', errorCode: ERRORS.INVALID_TOPIC_EXCEPTION },
      ],
    });
    const byId = { topics: [{ name: null, topicId: id }], timeoutMs: 1 };
    expect(await client.call(KEYS.DeleteTopics, 6, byId)).toMatchObject({ responses: [{ name: 'a', errorCode: 0 }] });
    expect(await client.call(KEYS.DeleteTopics, 6, byId)).toMatchObject({
      responses: [{ name: null, errorCode: ERRORS.UNKNOWN_TOPIC_ID }],
    });
    expect([...client.storage.topics()].map(({ name }) => name)).toEqual(['__state']);
  });
});

describe('the small ones', () => {
  it('InitProducerId gives out a new id each time, and none for a transaction', async () => {
    const client = new CoreClient();
    const ask = (transactionalId: string | null) =>
      client.call(KEYS.InitProducerId, 4, { transactionalId, transactionTimeoutMs: 1 });
    expect(await ask(null)).toMatchObject({ errorCode: 0, producerId: 1000, producerEpoch: 0 });
    expect(await ask(null)).toMatchObject({ errorCode: 0, producerId: 1001, producerEpoch: 0 });
    expect(await ask('tx')).toMatchObject({ errorCode: ERRORS.INVALID_REQUEST, producerId: -1 });
  });

  it('FindCoordinator says that there are no groups and no transactions yet', async () => {
    const client = new CoreClient();
    expect(await client.call(KEYS.FindCoordinator, 1, { key: 'g' })).toMatchObject({
      errorCode: ERRORS.COORDINATOR_NOT_AVAILABLE,
      nodeId: -1,
    });
    expect(await client.call(KEYS.FindCoordinator, 4, { keyType: 1, coordinatorKeys: ['tx'] })).toMatchObject({
      coordinators: [
        { key: 'tx', errorCode: ERRORS.INVALID_REQUEST, errorMessage: expect.stringContaining('not supported') },
      ],
    });
  });

  it('OffsetForLeaderEpoch tells where an epoch ended', async () => {
    const client = new CoreClient();
    const topic = await client.storage.createTopic('t');
    await client.storage.shard(topic, 0).append([makeBatch({ records: 4 })]);
    const partitions = [
      { partition: 0, leaderEpoch: 9 },
      { partition: 3, leaderEpoch: 1 },
      { partition: 0, leaderEpoch: 1, currentLeaderEpoch: 2 },
    ];
    const answer = await client.call(KEYS.OffsetForLeaderEpoch, 3, { topics: [{ topic: 't', partitions }] });
    expect(answer.topics).toMatchObject([
      {
        partitions: [
          { errorCode: 0, leaderEpoch: 5, endOffset: 4 },
          { errorCode: ERRORS.UNKNOWN_TOPIC_OR_PARTITION, endOffset: -1 },
          { errorCode: ERRORS.FENCED_LEADER_EPOCH },
        ],
      },
    ]);
  });

  it('DescribeConfigs shows topics under Kafka’s names, and where a value comes from', async () => {
    const client = new CoreClient();
    await client.storage.createTopic('t', { overrides: { retention: { ms: 77 } } });
    const resources = [
      { resourceType: 2, resourceName: 't', configurationKeys: ['retention.ms', 'robustmq.engine'] },
      { resourceType: 2, resourceName: 'nope', configurationKeys: null },
      { resourceType: 4, resourceName: '1', configurationKeys: null },
      { resourceType: 8, resourceName: 'x', configurationKeys: null },
    ];
    const answer = await client.call(KEYS.DescribeConfigs, 4, { resources, includeSynonyms: true });
    expect(answer.results).toMatchObject([
      {
        errorCode: 0,
        configs: [
          { name: 'retention.ms', value: '77', configSource: 1 },
          { name: 'robustmq.engine', value: 'fake', configSource: 5, synonyms: [{ source: 5 }] },
        ],
      },
      { errorCode: ERRORS.UNKNOWN_TOPIC_OR_PARTITION },
      { errorCode: 0, configs: [] },
      { errorCode: ERRORS.INVALID_REQUEST },
    ]);
  });

  it('DescribeCluster names this node', async () => {
    const client = new CoreClient();
    expect(await client.call(KEYS.DescribeCluster, 1, { includeClusterAuthorizedOperations: false })).toMatchObject({
      ...{ errorCode: 0, clusterId: 'core-test', controllerId: 1 },
      brokers: [{ brokerId: 1, host: 'broker.test', port: 9092 }],
    });
    const controllers = { includeClusterAuthorizedOperations: false, endpointType: 2 };
    expect(await client.call(KEYS.DescribeCluster, 1, controllers)).toMatchObject({
      errorCode: ERRORS.INVALID_REQUEST,
    });
  });
});

describe('errors of the store', () => {
  it('each have their code, and those that may heal one that clients retry', () => {
    /** As kafkajs, librdkafka and the Java client agree. */
    const retried = new Set([
      ...['CORRUPT_MESSAGE', 'UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE', 'NOT_LEADER_OR_FOLLOWER'],
      ...['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS', 'KAFKA_STORAGE_ERROR'],
    ]);
    for (const [code, { retryable }] of Object.entries(STORAGE_CODES)) {
      const told = STORAGE_TO_KAFKA[code as keyof typeof STORAGE_CODES];
      expect(ERRORS[told], code).toBeDefined();
      if (retryable) expect(retried, code).toContain(told);
    }
  });
});
