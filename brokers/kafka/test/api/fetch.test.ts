import { StorageError } from '@robustmq/core';
import type { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/error-codes.ts';
import { makeBatch } from '../support/batch.ts';
import { CoreClient, type Message, settled } from '../support/core-client.ts';
import { fetchOne } from '../support/requests.ts';

const FETCH = 1;

async function withBatches(count: number, surroundings = {}) {
  const client = new CoreClient(surroundings);
  const topic = await client.storage.createTopic('t', { overrides: { shards: 2 } });
  const shard = client.storage.shard(topic, 0);
  for (let i = 0; i < count; i++) await shard.append([makeBatch({ records: 2, payload: 939 })]);
  return { client, topic, shard };
}

interface Partition {
  errorCode: number;
  highWatermark: number;
  logStartOffset: number;
  records: Buffer;
}

function only(answer: Message): Partition {
  return (answer as { responses: { partitions: Partition[] }[] }).responses[0]?.partitions[0] as Partition;
}

describe('Fetch', () => {
  it.each([4, 7, 11, 12])('version %i gives stored batches from the one that holds the offset', async (version) => {
    const { client, shard } = await withBatches(3);
    const partition = only(await client.call(FETCH, version, fetchOne('t', 3)));
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: 6 });
    expect(partition.records).toEqual(Buffer.concat(shard.batches.slice(1)));
  });

  it.each([13, 17])('version %i names topics by id', async (version) => {
    const { client, topic } = await withBatches(1);
    const answer = await client.call(FETCH, version, fetchOne('', 0, { topicId: topic.id }));
    expect(only(answer)).toMatchObject({ errorCode: 0, highWatermark: 2 });
    const unknown = fetchOne('', 0, { topicId: '12345678-1234-4234-8234-123456789012' });
    expect(only(await client.call(FETCH, version, unknown)).errorCode).toBe(ERRORS.UNKNOWN_TOPIC_ID);
  });

  it('hands the store’s chunks to the socket, not copies of them', async () => {
    const { client, shard } = await withBatches(2);
    await client.call(FETCH, 11, fetchOne('t', 0));
    expect(client.writes.at(-1)).toContain(shard.batches[0]);
    expect(client.writes.at(-1)).toContain(shard.batches[1]);
  });

  it('keeps to the limits of partition and request, but the first batch always passes', async () => {
    const { client } = await withBatches(5);
    const read = async (limits: object) => only(await client.call(FETCH, 11, fetchOne('t', 0, limits))).records.length;
    expect(await read({ partitionMaxBytes: 2500 })).toBe(2000);
    expect(await read({ maxBytes: 3000 })).toBe(3000);
    expect(await read({ maxBytes: 1 })).toBe(1000);
    expect(await read({ partitionMaxBytes: 0 })).toBe(1000);
  });

  it('shares the request’s limit among partitions in their order', async () => {
    const { client, topic } = await withBatches(3);
    await client.storage.shard(topic, 1).append([makeBatch({ payload: 939 })]);
    const request = fetchOne('t', 0, { maxBytes: 3500 }) as { topics: { partitions: object[] }[] };
    request.topics[0]?.partitions.push({ partition: 1, fetchOffset: 0, partitionMaxBytes: 10_000 });
    const answer = (await client.call(FETCH, 11, request as unknown as Message)) as {
      responses: { partitions: Partition[] }[];
    };
    expect(answer.responses[0]?.partitions.map(({ records }) => records.length)).toEqual([3000, 0]);
  });

  it('waits without an answer until enough bytes are there', async () => {
    const { client, shard } = await withBatches(1);
    client.send(FETCH, 11, fetchOne('t', 0, { minBytes: 2500, maxWaitMs: 60_000 }));
    await settled();
    expect(client.storage.waiting).toBe(1);
    await shard.append([makeBatch({ payload: 939 })]);
    await settled();
    expect(client.frames).toEqual([]);
    await shard.append([makeBatch({ payload: 939 })]);
    const { records } = only(await client.answer(FETCH, 11));
    expect(records).toEqual(Buffer.concat(shard.batches));
    expect(client.storage.waiting).toBe(0);
  });

  it('answers with nothing when the time is up', async () => {
    const { client } = await withBatches(1);
    const partition = only(await client.call(FETCH, 11, fetchOne('t', 2, { maxWaitMs: 5 })));
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: 2 });
    expect(partition.records.length).toBe(0);
  });

  it('answers at once when there is an error to tell', async () => {
    const { client } = await withBatches(1);
    const answer = await client.call(FETCH, 11, fetchOne('t', 0, { partition: 5, minBytes: 9000, maxWaitMs: 60_000 }));
    expect(only(answer).errorCode).toBe(ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it('says where the log begins and ends to who asks outside of it', async () => {
    const { client, shard } = await withBatches(3);
    shard.logStart = 2;
    const out = { errorCode: ERRORS.OFFSET_OUT_OF_RANGE, logStartOffset: 2, highWatermark: 6 };
    expect(only(await client.call(FETCH, 11, fetchOne('t', 1)))).toMatchObject(out);
    expect(only(await client.call(FETCH, 11, fetchOne('t', 7)))).toMatchObject(out);
    expect(only(await client.call(FETCH, 11, fetchOne('t', -5))).errorCode).toBe(ERRORS.OFFSET_OUT_OF_RANGE);
  });

  it('fences leaders’ epochs', async () => {
    const { client, shard } = await withBatches(1);
    const codeAt = async (currentLeaderEpoch: number) =>
      only(await client.call(FETCH, 11, fetchOne('t', 0, { currentLeaderEpoch }))).errorCode;
    expect(await codeAt(shard.epoch)).toBe(0);
    expect(await codeAt(shard.epoch - 1)).toBe(ERRORS.FENCED_LEADER_EPOCH);
    expect(await codeAt(shard.epoch + 1)).toBe(ERRORS.UNKNOWN_LEADER_EPOCH);
  });

  it('tells a client whose history is not ours where it parts from it', async () => {
    const { client, shard } = await withBatches(1);
    const request = fetchOne('t', 2, { lastFetchedEpoch: shard.epoch + 3, maxWaitMs: 60_000 });
    expect(only(await client.call(FETCH, 12, request))).toMatchObject({
      errorCode: 0,
      divergingEpoch: { epoch: shard.epoch, endOffset: 2 },
    });
  });

  it('opens no session', async () => {
    const { client } = await withBatches(1);
    expect(await client.call(FETCH, 11, { ...fetchOne('t', 0), sessionEpoch: 0 })).toMatchObject({ sessionId: 0 });
    expect(await client.call(FETCH, 11, { ...fetchOne('t', 0), sessionId: 5, sessionEpoch: 1 })).toMatchObject({
      errorCode: ERRORS.FETCH_SESSION_ID_NOT_FOUND,
      responses: [],
    });
  });

  it('takes read_committed, and lists aborted transactions then: none', async () => {
    const { client } = await withBatches(1);
    const abortedOf = async (isolationLevel: number) =>
      only(await client.call(FETCH, 11, fetchOne('t', 0, { isolationLevel })));
    expect(await abortedOf(1)).toMatchObject({ abortedTransactions: [], lastStableOffset: 2 });
    expect(await abortedOf(0)).toMatchObject({ abortedTransactions: null });
  });

  it('asks who may read, and says why a shard is down', async () => {
    const refused = await withBatches(1, { authorize: (_: object, operation: string) => operation !== 'read' });
    expect(only(await refused.client.call(FETCH, 11, fetchOne('t', 0))).errorCode).toBe(
      ERRORS.TOPIC_AUTHORIZATION_FAILED,
    );
    const { client, shard } = await withBatches(1);
    shard.unavailable = new StorageError('CORRUPT', 'a segment is damaged');
    expect(only(await client.call(FETCH, 11, fetchOne('t', 0))).errorCode).toBe(ERRORS.KAFKA_STORAGE_ERROR);
  });

  it('reads less as the record bytes on their way to clients add up, and never nothing', async () => {
    const { client } = await withBatches(300, { settings: { maxResponseBytes: 400_000 } });
    const sizes: number[] = [];
    for (let i = 0; i < 5; i++) sizes.push(only(await client.call(FETCH, 11, fetchOne('t', 0))).records.length);
    // nothing leaves this client's socket: half of what is left each time, down to the least
    expect(sizes).toEqual([200_000, 100_000, 65_000, 65_000, 65_000]);
  });

  describe('of what is archived', () => {
    /** Partitions of two batches each; those of which everything is archived take a second to read. */
    async function withArchived(partitions: readonly ('archived' | 'near')[]) {
      const client = new CoreClient();
      const clock = client.clock as VirtualClock;
      const topic = await client.storage.createTopic('t', { overrides: { shards: partitions.length } });
      const order: number[] = [];
      const shards = partitions.map((where, index) => {
        const shard = client.storage.shard(topic, index);
        shard.readGate = async () => {
          order.push(index);
          if (where === 'archived') await new Promise<void>((resolve) => clock.timer(1000, resolve));
        };
        if (where === 'archived') shard.coldBelow = 1000;
        return shard;
      });
      for (const shard of shards)
        for (let i = 0; i < 2; i++) await shard.append([makeBatch({ records: 2, payload: 939 })]);
      const ask = async (limits: object = {}) => {
        const request = fetchOne('t', 0, limits) as { topics: { partitions: object[] }[] };
        const [first] = request.topics;
        const asked = first?.partitions[0];
        const all = partitions.map((_, partition) => ({ ...asked, partition }));
        client.send(FETCH, 11, { ...request, topics: [{ ...first, partitions: all }] });
        const answered = client.answer(FETCH, 11);
        for (let i = 0; i < 100; i++) await clock.advance(100);
        return (await answered) as { responses: { partitions: Partition[] }[] };
      };
      return { client, clock, order, shards, ask };
    }

    it('comes behind what is near, in an answer in the order of the request', async () => {
      const { order, ask } = await withArchived(['archived', 'near', 'archived', 'near']);
      const answer = await ask({ maxWaitMs: 10_000 });
      expect(order).toEqual([1, 3, 0, 2]);
      const { partitions } = answer.responses[0] ?? { partitions: [] };
      expect(partitions.map(({ records }) => records.length)).toEqual([2000, 2000, 2000, 2000]);
    });

    it('waits for no more of it than the client waits, once there is something to say', async () => {
      const { order, ask } = await withArchived(Array.from({ length: 50 }, () => 'archived'));
      const answer = await ask({ maxWaitMs: 2500 });
      // one a second
      expect(order).toEqual([0, 1, 2]);
      const { partitions } = answer.responses[0] ?? { partitions: [] };
      expect(partitions.map(({ records }) => records.length)).toEqual([2000, 2000, 2000, ...Array(47).fill(0)]);
      // where each log ends is told all the same
      expect(partitions.every(({ errorCode, highWatermark }) => errorCode === 0 && highWatermark === 4)).toBe(true);
    });

    it('gives a client that does not wait what there is within half a second', async () => {
      const { order, ask } = await withArchived(['near', 'near', 'archived', 'archived']);
      const answer = await ask({ maxWaitMs: 0 });
      expect(order).toEqual([0, 1, 2]);
      expect(answer.responses[0]?.partitions.map(({ records }) => records.length)).toEqual([2000, 2000, 2000, 0]);
    });

    it('still says of a partition that there is no such offset', async () => {
      const { shards, ask } = await withArchived(['archived', 'archived']);
      const last = shards[1];
      if (last === undefined) throw new Error('it was made');
      last.logStart = 2;
      const answer = await ask({ maxWaitMs: 0 });
      expect(answer.responses[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([
        0,
        ERRORS.OFFSET_OUT_OF_RANGE,
      ]);
    });
  });
});
