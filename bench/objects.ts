/**
 * `npm run bench:objects [-- --store s3,hdfs --mib 256 --rounds 5 --seconds 3 --client aws --only archive]`: the S3 engine on a real MinIO, then the HDFS engine on
 * a real HDFS, both of which it starts. Produce latency at the default flush; cold reads of a sealed segment beside plain ranged reads of the same bytes; archiving beside a plain
 * upload of them; by turns, so that what disturbs the machine disturbs both. Ends with a verdict for each bar; exit code 1 when a ratio is below it.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { settingsOf } from '@robustmq/conformance';
import {
  encodeBatch,
  nodeFileSystem,
  type OpenEngineInstance,
  openInstance,
  type StorageEngine,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import { closedLoop, median } from './closed-loop.ts';
import { createWriters, engineAppends } from './engine-appends.ts';
import { machineFacts } from './machine.ts';
import { hdfsTarget } from './objects-hdfs.ts';
import { s3Target } from './objects-s3.ts';
import type { ObjectsTarget } from './objects-target.ts';

const { values: flags } = parseArgs({
  options: {
    store: { type: 'string', default: 's3,hdfs' },
    mib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    client: { type: 'string', default: 'aws' },
    only: { type: 'string', default: 'produce,archive,small,read' },
  },
});
const MiB = 1024 * 1024;
const BYTES = Number(flags.mib) * MiB;
const ROUNDS = Number(flags.rounds);
const BATCH_BYTES = 64 * 1024;
/** Segments that are gathered: smaller than `fileBytes` of the HDFS engine. */
const SMALL_BYTES = 8 * MiB;
/** Of the rate of plain requests: the median of the pairs. */
const BAR = 0.8;

const directory = await mkdtemp(join(tmpdir(), 'robust-bench-objects-'));
const stores = flags.store.split(',');
const verdicts: { readonly name: string; readonly ratio: number }[] = [];
for (const store of stores)
  if (store !== 's3' && store !== 'hdfs')
    throw new Error(`--store is s3, hdfs or both with a comma between, not ${store}`);
let target: ObjectsTarget;
try {
  console.log(await machineFacts(directory));
  for (const store of stores) {
    target = store === 'hdfs' ? await hdfsTarget() : await s3Target(flags.client);
    try {
      console.log(`\n${target.title}; ${ROUNDS} rounds of ${flags.mib} MiB each by turns; medians`);
      const only = flags.only.split(',');
      if (only.includes('produce')) await produce();
      if (only.includes('archive')) await archive();
      if (only.includes('small') && store === 'hdfs') await archiveSmall();
      if (only.includes('read')) await coldReads();
    } finally {
      await target.stop();
    }
  }
} finally {
  await rm(directory, { recursive: true });
}
console.log();
for (const { name, ratio } of verdicts)
  console.log(`${ratio >= BAR ? 'held' : 'NOT HELD'}: ${name} ${ratio.toFixed(2)}, the bar is ${BAR}`);
process.exitCode = verdicts.every(({ ratio }) => ratio >= BAR) ? 0 : 1;

/** Appends of 1 KB at the default settings: what a producer waits for. */
async function produce(): Promise<void> {
  console.log(
    `\nproduce at flushIntervalMs ${settingsOf(target.definition, target.config).flushIntervalMs}\nsegments  in flight |  appends/s   p50 ms   p99 ms | PUT per MiB    PUT/h`,
  );
  for (const segments of [1, 100])
    for (const inFlight of [1, 64, 1000]) {
      let puts = 0;
      const { instance, close } = await openEngine(new MemoryMeta(), (used) => {
        puts += used;
      });
      const writers = await createWriters(instance, segments);
      puts = 0;
      const began = performance.now();
      const result = await closedLoop(inFlight, Number(flags.seconds), engineAppends(writers, 1024));
      const hours = (performance.now() - began) / 3_600_000;
      const { perSecond, p50Ms, p99Ms } = result;
      const mib = (perSecond * hours * 3600 * 1024) / MiB;
      console.log(
        `${String(segments).padStart(8)} ${String(inFlight).padStart(10)} | ${perSecond.toFixed(0).padStart(10)} ${p50Ms.toFixed(1).padStart(8)} ${p99Ms.toFixed(1).padStart(8)} | ${(puts / mib).toFixed(2).padStart(11)} ${(puts / hours).toFixed(0).padStart(8)}`,
      );
      await close();
    }
}

/** `ingest` of a segment beside a plain upload of the same bytes. */
async function archive(): Promise<void> {
  const batches = makeBatches();
  const { engine, close } = await openEngine();
  const ours: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const runs = [
      async () => void ours.push(await rateOf(() => ingest(engine, `archived-${round}`, batches))),
      async () => void plain.push(await rateOf(() => target.plainUpload(`plain-${round}`, chunked(batches)))),
    ];
    for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
  }
  verdict('archive', report('archive', 'ingest', ours, target.upload, plain));
  await close();
}

/** The same bytes in small segments, one after the other, which share files, beside one plain upload of them. Has no bar. */
async function archiveSmall(): Promise<void> {
  const batches = makeBatches();
  const many = SMALL_BYTES / BATCH_BYTES;
  const parts = Array.from({ length: Math.ceil(batches.length / many) }, (_, i) =>
    makeBatches(many, batches.length - i * many),
  );
  const { engine, close } = await openEngine();
  const ours: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const ingestAll = async (): Promise<number> => {
      let bytes = 0;
      for (const [i, part] of parts.entries()) bytes += await ingest(engine, `small-${round}-${i}`, part, SMALL_BYTES);
      return bytes;
    };
    const runs = [
      async () => void ours.push(await rateOf(ingestAll)),
      async () => void plain.push(await rateOf(() => target.plainUpload(`plain-small-${round}`, chunked(batches)))),
    ];
    for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
  }
  report(`archive in segments of ${SMALL_BYTES / MiB} MiB, gathered`, 'ingest', ours, target.upload, plain);
  await close();
}

/** A sealed segment from its beginning to its end, with nothing cached, beside plain reads of the same pieces, as many at once as the engine reads ahead. */
async function coldReads(): Promise<void> {
  const batches = makeBatches();
  const first = await openEngine();
  await ingest(first.engine, 'cold', batches);
  await first.close();
  const ours: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // a new process, as far as its caches go
    const opened = await openEngine(first.meta);
    const runs = [
      async () => void ours.push(await rateOf(() => readAll(opened.engine, 'cold'))),
      async () => void plain.push(await rateOf(() => target.plainReads())),
    ];
    for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
    await opened.close();
  }
  verdict('cold read', report('cold read', 'engine', ours, target.reads, plain));
}

interface OpenedEngine {
  readonly instance: OpenEngineInstance;
  readonly engine: StorageEngine;
  readonly meta: MemoryMeta;
  close(): Promise<void>;
}

async function openEngine(meta = new MemoryMeta(), puts: (count: number) => void = () => {}): Promise<OpenedEngine> {
  const instance = await openInstance(target.definition, {
    instance: 'bench',
    dir: directory,
    config: settingsOf(target.definition, target.config),
    fs: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta,
    usage: (used) => puts(used.puts),
    signal: new AbortController().signal,
  });
  return { instance, engine: instance.engine, meta, close: () => instance.close() };
}

function makeBatches(most = Number.POSITIVE_INFINITY, left = Number.POSITIVE_INFINITY): Uint8Array[] {
  const value = Buffer.alloc(BATCH_BYTES - 100);
  for (let i = 0; i < value.length; i++) value[i] = (i * 2_654_435_761) >>> 13;
  const one = encodeBatch([{ timestamp: 1_700_000_000_000, key: null, value }]);
  return Array.from({ length: Math.min(Math.floor(BYTES / one.length), most, left) }, (_, offset) => {
    const batch = Buffer.from(one);
    batch.writeBigInt64BE(BigInt(offset), 0);
    return batch;
  });
}

async function ingest(
  engine: StorageEngine,
  id: string,
  batches: readonly Uint8Array[],
  size = BYTES,
): Promise<number> {
  const range = { base: 0, end: batches.length, epoch: 1, state: new Uint8Array(0), uid: id, bytes: size };
  return (await engine.ingest(id, range, chunked(batches))).bytes;
}

/** Chunks of 1 MiB, as core reads them. */
async function* chunked(batches: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  const many = Math.floor(MiB / BATCH_BYTES);
  for (let at = 0; at < batches.length; at += many) yield Buffer.concat(batches.slice(at, at + many));
}

async function readAll(engine: StorageEngine, id: string): Promise<number> {
  const reader = await engine.openReader(id);
  const { committed } = reader.offsets();
  let bytes = 0;
  for (let from = 0; from < committed; ) {
    const read = await reader.read(from, { maxBytes: MiB });
    bytes += read.bytes.length;
    from = read.next;
  }
  await reader.close();
  return bytes;
}

async function rateOf(run: () => Promise<number>): Promise<number> {
  const began = performance.now();
  const bytes = await run();
  return bytes / MiB / ((performance.now() - began) / 1000);
}

function report(what: string, ours: string, a: readonly number[], theirs: string, b: readonly number[]): number {
  const ratios = a.map((rate, i) => rate / (b[i] ?? rate));
  console.log(
    `\n${what}: ${ours} ${median([...a]).toFixed(0)} MiB/s, ${theirs} ${median([...b]).toFixed(0)} MiB/s, ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
  );
  return median(ratios);
}

function verdict(what: string, ratio: number): void {
  verdicts.push({ name: `${target.definition.name}: ${what} against plain requests`, ratio });
}
