import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { BATCH_HEADER_BYTES, decodeRecords, readHeader } from '@robustmq/core/batch';
import { KafkaWire } from '../test/crash/kafka-wire.ts';
import { sequenceOf } from './archive-values.ts';

/** The longest time without a record after which the rest counts as lost. */
const STALL_MS = 60_000;
export const FETCH_BYTES = 4 << 20;

export interface Found {
  lost: number;
  repeated: number;
  renumbered: number;
  changed: number;
}

/** Reads all partitions over Kafka's protocol: the value at each offset must be the one that was sent as this number. */
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

/** Partition by partition, as a client does that was assigned them: there are no consumer groups yet. */
async function consume(
  port: number,
  topic: string,
  next: readonly number[],
  ends: readonly number[],
  take: (partition: number, offset: number, value: Buffer | null) => void,
): Promise<void> {
  const wire = await KafkaWire.open(port);
  try {
    for (const [partition, end] of ends.entries()) {
      let lastAt = performance.now();
      for (let from = next[partition] ?? 0; from < end; ) {
        const { error, records } = await wire.fetch(topic, partition, from, FETCH_BYTES);
        if (error !== 0) throw new Error(`fetch of ${topic}/${partition} at ${from}: error ${error}`);
        const before = from;
        // the last batch of an answer may be cut
        for (let at = 0; records.length - at >= BATCH_HEADER_BYTES; ) {
          const { bytes } = readHeader(records, at);
          if (at + bytes > records.length) break;
          for (const { offset, value } of decodeRecords(records.subarray(at, at + bytes))) {
            if (offset < from) continue;
            take(partition, offset, value === null ? null : Buffer.from(value));
            from = offset + 1;
          }
          at += bytes;
        }
        if (from > before) lastAt = performance.now();
        else if (performance.now() - lastAt > STALL_MS)
          return; // the rest counts as lost
        else await sleep(100);
      }
    }
  } finally {
    wire.close();
  }
}

export interface Isolated {
  /** What `run` gives. */
  readonly times: number[];
  /** Of reads of what is newest, ms. */
  readonly hot: number[];
  /** Read of what is oldest. */
  readonly MBs: number;
}

const HOT_TOPIC = 'plain';
const HOT_BYTES = 64 * 1024;
const HOT_EVERY_MS = 10;

/** While `run` writes to the hot topic, what is newest of it is read again and again. */
export async function whileHot(port: number, run: () => Promise<number[]>): Promise<Isolated> {
  const hot: number[] = [];
  let isDone = false;
  const reading = (async () => {
    const wire = await KafkaWire.open(port);
    try {
      while (!isDone) {
        const { offset } = await wire.listOffset(HOT_TOPIC, 0, -1);
        const from = performance.now();
        const { error } = await wire.fetch(HOT_TOPIC, 0, Math.max(0, offset - 1), HOT_BYTES);
        if (error !== 0) throw new Error(`fetch of what is newest: error ${error}`);
        hot.push(performance.now() - from);
        await sleep(HOT_EVERY_MS);
      }
    } finally {
      wire.close();
    }
  })();
  const times = await run();
  isDone = true;
  await reading;
  return { times, hot, MBs: 0 };
}

/** The same while another process reads all partitions of another topic from their beginning, over and over, as fast as they come. */
export async function whileReadCold(
  port: number,
  { topic, acknowledged }: { readonly topic: string; readonly acknowledged: readonly number[] },
  run: () => Promise<number[]>,
): Promise<Isolated> {
  const ends = acknowledged.map(String);
  const reader = spawn(process.execPath, [COLD_READER, String(port), topic, ...ends], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // its start is none of what is timed
  await sleep(COLD_STARTS_MS);
  const isolated = await whileHot(port, run);
  reader.stdin.end();
  return { ...isolated, MBs: Number(await text(reader.stdout)) };
}

const COLD_STARTS_MS = 3000;
const COLD_READER = join(import.meta.dirname, 'archive-cold-reader.ts');

async function endOf(port: number, topic: string): Promise<number> {
  const wire = await KafkaWire.open(port);
  try {
    return (await wire.listOffset(topic, 0, -1)).offset;
  } finally {
    wire.close();
  }
}
