import { makeBatch } from './batch.ts';
import type { Message } from './core-client.ts';

export function produceTo(
  name: string,
  { batch = makeBatch(), index = 0, acks = -1, topicId = '', transactionalId = null as string | null } = {},
): Message {
  return {
    ...{ transactionalId, acks, timeoutMs: 1000 },
    topicData: [{ name, topicId, partitionData: [{ index, records: [batch] }] }],
  };
}

export function fetchOne(
  topic: string,
  fetchOffset: number,
  options: {
    readonly topicId?: string;
    readonly partition?: number;
    readonly maxWaitMs?: number;
    readonly minBytes?: number;
    readonly maxBytes?: number;
    readonly partitionMaxBytes?: number;
    readonly currentLeaderEpoch?: number;
    readonly lastFetchedEpoch?: number;
    readonly isolationLevel?: number;
  } = {},
): Message {
  return {
    maxWaitMs: options.maxWaitMs ?? 0,
    minBytes: options.minBytes ?? 1,
    maxBytes: options.maxBytes ?? 1_000_000,
    isolationLevel: options.isolationLevel ?? 0,
    topics: [
      {
        topic,
        topicId: options.topicId ?? '',
        partitions: [
          {
            partition: options.partition ?? 0,
            fetchOffset,
            partitionMaxBytes: options.partitionMaxBytes ?? 1_000_000,
            currentLeaderEpoch: options.currentLeaderEpoch,
            lastFetchedEpoch: options.lastFetchedEpoch,
          },
        ],
      },
    ],
    forgottenTopicsData: [],
  };
}
