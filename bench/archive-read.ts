import { setTimeout as sleep } from 'node:timers/promises';
import { kafkaClient } from './archive-load.ts';
import { sequenceOf } from './archive-values.ts';

/** The longest time without a record after which the rest counts as lost. */
const STALL_MS = 60_000;

export interface Found {
  lost: number;
  repeated: number;
  renumbered: number;
  changed: number;
}

/** Reads all partitions through a real client: the value at each offset must be the one that was sent as this number. */
export async function readBack(port: number, topic: string, acknowledged: readonly number[]): Promise<Found> {
  const found: Found = { lost: 0, repeated: 0, renumbered: 0, changed: 0 };
  const seen = acknowledged.map((values) => new Uint8Array(values));
  const next = acknowledged.map(() => 0);
  await consume(port, topic, next, acknowledged, (partition, offset, value) => {
    if (offset !== next[partition]) found.renumbered++;
    next[partition] = offset + 1;
    const sequence = value === null ? undefined : sequenceOf(value);
    const marks = seen[partition];
    if (sequence === undefined || marks === undefined || sequence >= marks.length) {
      found.changed++;
      return;
    }
    if (sequence !== offset) found.renumbered++;
    if (marks[sequence] === 1) found.repeated++;
    marks[sequence] = 1;
  });
  found.lost = seen.reduce((sum, marks) => sum + marks.reduce((zeros, mark) => zeros + (1 - mark), 0), 0);
  return found;
}

/** @returns how many acknowledged values are not there */
export async function readTrickle(port: number, topic: string, acknowledged: ReadonlySet<string>): Promise<number> {
  const missing = new Set(acknowledged);
  const next = [0];
  await consume(port, topic, next, [await endOf(port, topic)], (_, offset, value) => {
    missing.delete(String(value));
    next[0] = offset + 1;
  });
  return missing.size;
}

async function consume(
  port: number,
  topic: string,
  next: readonly number[],
  ends: readonly number[],
  take: (partition: number, offset: number, value: Buffer | null) => void,
): Promise<void> {
  const consumer = kafkaClient(port).consumer({ groupId: `read-${topic}`, maxBytesPerPartition: 4 << 20 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let lastAt = performance.now();
  await consumer.run({
    eachBatch: async ({ batch }) => {
      lastAt = performance.now();
      for (const { offset, value } of batch.messages) take(batch.partition, Number(offset), value);
    },
  });
  while (ends.some((end, i) => (next[i] ?? 0) < end) && performance.now() - lastAt < STALL_MS) await sleep(100);
  await consumer.disconnect();
}

async function endOf(port: number, topic: string): Promise<number> {
  const admin = kafkaClient(port).admin();
  await admin.connect();
  const [partition] = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  return Number(partition?.high ?? 0);
}
