import type { Storage } from '@robustmq/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openNode } from '../../../../core/test/storage/harness.ts';
import { ERRORS } from '../../src/error-codes.ts';
import { makeBatch } from '../support/batch.ts';
import { CoreClient, type Message, settled } from '../support/core-client.ts';
import { fetchOne, produceTo } from '../support/requests.ts';

let storage: Storage;
let client: CoreClient<Storage>;

beforeEach(async () => {
  ({ storage } = await openNode());
  client = new CoreClient({}, { storage });
});

afterEach(async () => {
  client.connection.close('client');
  await storage.close();
});

function firstPartition(answer: Message, list: string): Message {
  const topics = answer[list] as Record<string, Message[]>[];
  return (topics[0]?.partitions ?? topics[0]?.partitionResponses)?.[0] ?? {};
}

async function produced(batch = makeBatch({ records: 3 })): Promise<Message> {
  return firstPartition(await client.call(0, 8, produceTo('t', { batch })), 'responses');
}

async function fetched(offset: number, options: Parameters<typeof fetchOne>[2] = {}): Promise<Message> {
  return firstPartition(await client.call(1, 12, fetchOne('t', offset, options)), 'responses');
}

describe('over core’s own storage', () => {
  it('the epoch that Metadata tells is the one that Fetch takes and batches carry', async () => {
    await produced();
    const metadata = await client.call(3, 9, { topics: [{ name: 't' }] });
    const { leaderEpoch } = firstPartition(metadata, 'topics') as { leaderEpoch: number };
    expect(leaderEpoch).toBeGreaterThanOrEqual(0);
    const partition = await fetched(0, { currentLeaderEpoch: leaderEpoch });
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: 3, divergingEpoch: undefined });
    expect((partition.records as Buffer).readInt32BE(12)).toBe(leaderEpoch);
    expect(await fetched(3, { lastFetchedEpoch: leaderEpoch })).toMatchObject({
      errorCode: 0,
      divergingEpoch: undefined,
    });
    expect(await fetched(3, { currentLeaderEpoch: leaderEpoch + 1 })).toMatchObject({
      errorCode: ERRORS.UNKNOWN_LEADER_EPOCH,
    });
    const epochs = { topics: [{ topic: 't', partitions: [{ partition: 0, leaderEpoch }] }] };
    expect(firstPartition(await client.call(23, 3, epochs), 'topics')).toMatchObject({ leaderEpoch, endOffset: 3 });
  });

  it('says where the log is to who asks outside of it', async () => {
    await produced();
    expect(await fetched(99)).toMatchObject({
      errorCode: ERRORS.OFFSET_OUT_OF_RANGE,
      logStartOffset: 0,
      highWatermark: 3,
    });
    await storage.shards(storage.topic('t') as never)[0]?.trim(2);
    expect(await fetched(0)).toMatchObject({ errorCode: ERRORS.OFFSET_OUT_OF_RANGE, logStartOffset: 2 });
  });

  it('stores a retry of an idempotent producer once, and refuses a gap', async () => {
    const batch = (baseSequence: number) => makeBatch({ producerId: 77, baseSequence });
    expect(await produced(batch(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(await produced(batch(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(await produced(batch(1))).toMatchObject({ errorCode: 0, baseOffset: 1 });
    expect(await produced(batch(5))).toMatchObject({ errorCode: ERRORS.OUT_OF_ORDER_SEQUENCE_NUMBER });
    expect(await fetched(0)).toMatchObject({ highWatermark: 2 });
  });

  it('refuses a wrong CRC and a batch larger than the topic takes', async () => {
    const broken = makeBatch();
    broken[70] = 0;
    expect(await produced(broken)).toMatchObject({ errorCode: ERRORS.CORRUPT_MESSAGE });
    expect(await produced(makeBatch({ payload: 1_100_000 }))).toMatchObject({ errorCode: ERRORS.MESSAGE_TOO_LARGE });
    expect(await produced()).toMatchObject({ errorCode: 0, baseOffset: 0 });
  });

  it('wakes a waiting fetch when its topic goes, and tells the next one', async () => {
    await produced();
    client.send(1, 12, fetchOne('t', 3, { maxWaitMs: 60_000 }));
    await settled();
    const other = new CoreClient({}, { storage });
    await other.call(20, 4, { topicNames: ['t'], timeoutMs: 1000 });
    await client.answer(1, 12);
    expect(await fetched(0)).toMatchObject({ errorCode: ERRORS.UNKNOWN_TOPIC_OR_PARTITION });
  });

  it('refuses settings that the store refuses as INVALID_CONFIG, and names as INVALID_TOPIC_EXCEPTION', async () => {
    const create = async (topic: object) => {
      const wanted = { name: 'x', numPartitions: -1, replicationFactor: -1, assignments: [], configs: [], ...topic };
      const answer = await client.call(19, 5, { topics: [wanted], timeoutMs: 1, validateOnly: false });
      return (answer.topics as Message[])[0];
    };
    const invalid = { errorCode: ERRORS.INVALID_CONFIG, errorMessage: expect.stringMatching(/./) };
    expect(await create({ configs: [{ name: 'segment.bytes', value: '1' }] })).toMatchObject(invalid);
    expect(await create({ configs: [{ name: 'robustmq.engine', value: 'nope' }] })).toMatchObject(invalid);
    expect(await create({ name: '..' })).toMatchObject({ errorCode: ERRORS.INVALID_TOPIC_EXCEPTION });
    expect(await create({ configs: [{ name: 'robustmq.engine', value: 'memory' }] })).toMatchObject({ errorCode: 0 });
  });
});
