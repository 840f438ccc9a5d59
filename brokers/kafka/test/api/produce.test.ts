import { StorageError } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/error-codes.ts';
import { makeBatch } from '../support/batch.ts';
import { CoreClient, settled } from '../support/core-client.ts';
import { produceTo } from '../support/requests.ts';

const PRODUCE = 0;

async function withTopic(surroundings = {}) {
  const client = new CoreClient(surroundings);
  const topic = await client.storage.createTopic('t', { overrides: { shards: 2 } });
  return { client, topic, shard: client.storage.shard(topic, 0) };
}

function outcome(errorCode: number, rest: object = {}): object {
  return { responses: [{ partitionResponses: [{ index: 0, errorCode, ...rest }] }] };
}

describe('Produce', () => {
  it.each([3, 7, 8, 9, 12])(
    'version %i stores the batch as sent, with offset and epoch written in, and answers when it is durable',
    async (version) => {
      const { client, shard } = await withTopic();
      const batch = makeBatch({ records: 3 });
      expect(await client.call(PRODUCE, version, produceTo('t', { batch }))).toMatchObject(
        outcome(0, { baseOffset: 0 }),
      );
      expect(await client.call(PRODUCE, version, produceTo('t', { batch }))).toMatchObject(
        outcome(0, { baseOffset: 3 }),
      );
      expect(shard.batches[1]?.subarray(16)).toEqual(batch.subarray(16));
      expect(shard.batches[1]?.readBigInt64BE(0)).toBe(3n);
      expect(shard.batches[1]?.readInt32BE(12)).toBe(shard.epoch);
    },
  );

  it('version 13 names topics by id', async () => {
    const { client, topic } = await withTopic();
    expect(await client.call(PRODUCE, 13, produceTo('', { topicId: topic.id }))).toMatchObject(outcome(0));
    const unknown = '12345678-1234-4234-8234-123456789012';
    expect(await client.call(PRODUCE, 13, produceTo('', { topicId: unknown }))).toMatchObject(
      outcome(ERRORS.UNKNOWN_TOPIC_ID),
    );
  });

  it('hands core a view of the request, not a copy', async () => {
    const { client, shard } = await withTopic();
    const frame = client.frame(PRODUCE, 7, produceTo('t', { batch: makeBatch({ payload: 5000 }) }));
    client.connection.receive(frame);
    await client.answer(PRODUCE, 7);
    expect(shard.given[0]?.buffer).toBe(frame.buffer);
  });

  it('answers nothing to acks 0, and closes the connection when it fails', async () => {
    const { client, shard } = await withTopic();
    client.send(PRODUCE, 7, produceTo('t', { acks: 0 }));
    client.send(18, 0, {});
    await settled();
    expect(client.correlationIds()).toEqual([2]);
    expect(shard.end).toBe(1);
    shard.failures = [new StorageError('DISK_FULL', 'no room')];
    client.send(PRODUCE, 7, produceTo('t', { acks: 0 }));
    await settled();
    expect(client.closed).toBe('flushed');
  });

  it('creates a topic that is missing, and keeps the order of requests meanwhile', async () => {
    const client = new CoreClient();
    client.send(PRODUCE, 7, produceTo('new', { batch: makeBatch({ producerId: 9, baseSequence: 0 }) }));
    client.send(PRODUCE, 7, produceTo('new', { batch: makeBatch({ producerId: 9, baseSequence: 1 }) }));
    expect(await client.answer(PRODUCE, 7)).toMatchObject(outcome(0, { baseOffset: 0 }));
    expect(await client.answer(PRODUCE, 7)).toMatchObject(outcome(0, { baseOffset: 1 }));
  });

  it('waits for credit of the shard, keeps the order meanwhile, and is not read', async () => {
    const { client, shard } = await withTopic();
    let go = (): void => {};
    shard.credit = new Promise((resolve) => {
      go = resolve;
    });
    client.send(PRODUCE, 7, produceTo('t', { batch: makeBatch({ producerId: 9, baseSequence: 0 }) }));
    client.send(PRODUCE, 7, produceTo('t', { batch: makeBatch({ producerId: 9, baseSequence: 1 }) }));
    await settled();
    expect(shard.end).toBe(0);
    expect(client.reading).toBe(false);
    shard.credit = undefined;
    go();
    expect(await client.answer(PRODUCE, 7)).toMatchObject(outcome(0, { baseOffset: 0 }));
    expect(await client.answer(PRODUCE, 7)).toMatchObject(outcome(0, { baseOffset: 1 }));
    expect(client.reading).toBe(true);
  });

  it('does not wait for credit on behalf of a client that has gone', async () => {
    const { client, shard } = await withTopic();
    shard.credit = new Promise(() => {});
    client.send(PRODUCE, 7, produceTo('t'));
    await settled();
    client.connection.close('client');
    await settled();
    expect(client.services.memory.used).toBe(0);
  });

  it.each([
    ['an unknown partition', produceTo('t', { index: 2 }), 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['a negative partition', produceTo('t', { index: -1 }), 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['acks 2', produceTo('t', { acks: 2 }), 'INVALID_REQUIRED_ACKS'],
    ['a transaction', produceTo('t', { transactionalId: 'tx' }), 'INVALID_REQUEST'],
    ['a transactional batch', produceTo('t', { batch: makeBatch({ attributes: 0x10 }) }), 'INVALID_REQUEST'],
    ['a control batch', produceTo('t', { batch: makeBatch({ attributes: 0x20 }) }), 'INVALID_RECORD'],
    ['an unknown codec', produceTo('t', { batch: makeBatch({ attributes: 7 }) }), 'INVALID_RECORD'],
    ['no batch', produceTo('t', { batch: Buffer.alloc(0) }), 'INVALID_RECORD'],
    ['two batches', produceTo('t', { batch: Buffer.concat([makeBatch(), makeBatch()]) }), 'INVALID_RECORD'],
    ['half a header', produceTo('t', { batch: makeBatch().subarray(0, 40) }), 'CORRUPT_MESSAGE'],
    ['half a batch', produceTo('t', { batch: makeBatch().subarray(0, 70) }), 'CORRUPT_MESSAGE'],
    ['a wrong CRC', produceTo('t', { batch: damaged(makeBatch(), 70) }), 'CORRUPT_MESSAGE'],
    ['message format 1', produceTo('t', { batch: damaged(makeBatch(), 16, 1) }), 'INVALID_RECORD'],
    ['a topic name that is none', produceTo('no/name'), 'UNKNOWN_TOPIC_OR_PARTITION'],
  ] as const)('refuses %s', async (_, request, error) => {
    const { client, shard } = await withTopic();
    const answer = await client.call(PRODUCE, 8, request);
    expect(answer).toMatchObject({
      responses: [{ partitionResponses: [{ errorCode: ERRORS[error], baseOffset: -1 }] }],
    });
    expect(shard.end).toBe(0);
  });

  it('refuses the old message formats as Kafka does, and zstd before version 7', async () => {
    const { client } = await withTopic();
    expect(await client.call(PRODUCE, 2, produceTo('t'))).toMatchObject(outcome(ERRORS.UNSUPPORTED_FOR_MESSAGE_FORMAT));
    const zstd = makeBatch({ attributes: 4 });
    expect(await client.call(PRODUCE, 6, produceTo('t', { batch: zstd }))).toMatchObject(
      outcome(ERRORS.UNSUPPORTED_COMPRESSION_TYPE),
    );
    expect(await client.call(PRODUCE, 7, produceTo('t', { batch: zstd }))).toMatchObject(outcome(0));
  });

  it('asks who may write, and keeps clients out of internal topics', async () => {
    const { client } = await withTopic({ authorize: (_: object, operation: string) => operation !== 'write' });
    expect(await client.call(PRODUCE, 8, produceTo('t'))).toMatchObject(outcome(ERRORS.TOPIC_AUTHORIZATION_FAILED));
    expect(await client.call(PRODUCE, 8, produceTo('not-there'))).toMatchObject(
      outcome(ERRORS.TOPIC_AUTHORIZATION_FAILED),
    );
    const other = await withTopic();
    await other.client.storage.createTopic('__state');
    expect(await other.client.call(PRODUCE, 8, produceTo('__state'))).toMatchObject(
      outcome(ERRORS.INVALID_TOPIC_EXCEPTION),
    );
  });

  it('tells an owner that moved, and a node that is down', async () => {
    const { client, shard } = await withTopic();
    shard.owner = 7;
    expect(await client.call(PRODUCE, 10, produceTo('t'))).toMatchObject(outcome(ERRORS.NOT_LEADER_OR_FOLLOWER));
    shard.unavailable = new StorageError('NODE_DOWN', 'node 7 is down');
    expect(await client.call(PRODUCE, 10, produceTo('t'))).toMatchObject(
      outcome(ERRORS.LEADER_NOT_AVAILABLE, { errorMessage: 'NODE_DOWN: node 7 is down' }),
    );
  });
});

function damaged(batch: Buffer, at: number, byte?: number): Buffer {
  batch[at] = byte ?? (batch[at] ?? 0) ^ 0xff;
  return batch;
}
