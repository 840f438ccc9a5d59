/**
 * `npm run bench:objects [-- --mib 256 --rounds 5 --seconds 3 --client aws]`: the S3 engine on a real MinIO that it starts. Produce latency at the default
 * flush; cold reads of a sealed segment beside plain ranged GETs of the same bytes; archiving beside a plain upload in parts; by turns, so that what
 * disturbs the machine disturbs both.
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
import s3Engine from '@robustmq/engine-s3';
import type { ObjectStore } from '../engines/objects/src/store/port.ts';
import type { S3Settings } from '../engines/s3/src/settings.ts';
import { openStore } from '../engines/s3/src/store/store.ts';
import { type S3Server, startMinio } from '../test/real/s3-server.ts';
import { closedLoop, median } from './closed-loop.ts';
import { createWriters, engineAppends } from './engine-appends.ts';
import { machineFacts } from './machine.ts';

const { values: flags } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    client: { type: 'string', default: 'aws' },
  },
});
const MiB = 1024 * 1024;
const BYTES = Number(flags.mib) * MiB;
const ROUNDS = Number(flags.rounds);
const BUCKET = 'bench';
const BATCH_BYTES = 64 * 1024;

const directory = await mkdtemp(join(tmpdir(), 'robust-bench-objects-'));
const server = await startMinio();
try {
  await server.createBucket(BUCKET);
  console.log(`${await machineFacts(directory)}\n`);
  console.log(
    `MinIO on the same machine, client ${flags.client}; ${ROUNDS} rounds of ${flags.mib} MiB each by turns; medians`,
  );
  await produce();
  await archive();
  await coldReads();
} finally {
  await server.stop();
  await rm(directory, { recursive: true });
}

/** Appends of 1 KB at the default settings: what a producer waits for. */
async function produce(): Promise<void> {
  console.log(
    '\nproduce at flushIntervalMs 250\nsegments  in flight |  appends/s   p50 ms   p99 ms | PUT per MiB    PUT/h',
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

/** `ingest` of a segment beside an upload of the same bytes with the same client, part size and parts at once. */
async function archive(): Promise<void> {
  const batches = makeBatches();
  const { engine, settings, close } = await openEngine();
  const store = await openStore(settings, systemClock);
  const ours: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const runs = [
      async () => void ours.push(await rateOf(() => ingest(engine, `archived-${round}`, batches))),
      async () => void plain.push(await rateOf(() => plainUpload(store, settings, `plain-${round}`, batches))),
    ];
    for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
  }
  report('archive', 'ingest', ours, 'plain upload in parts', plain);
  store.close();
  await close();
}

/** A sealed segment from its beginning to its end, with nothing cached, beside GETs of the same pieces, as many at once as the engine reads ahead. */
async function coldReads(): Promise<void> {
  const batches = makeBatches();
  const first = await openEngine();
  await ingest(first.engine, 'cold', batches);
  await first.close();
  const { settings } = first;
  const store = await openStore(settings, systemClock);
  const { key, bytes } = await largestObject(store);
  const ours: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // a new process, as far as its caches go
    const opened = await openEngine(first.meta);
    const runs = [
      async () => void ours.push(await rateOf(() => readAll(opened.engine, 'cold'))),
      async () => void plain.push(await rateOf(() => plainGets(store, key, bytes, settings))),
    ];
    for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
    await opened.close();
  }
  report(
    'cold read',
    'engine',
    ours,
    `GETs of ${settings.pieceBytes / MiB} MiB, ${settings.readAheadPieces} at once`,
    plain,
  );
  store.close();
}

interface OpenedEngine {
  readonly instance: OpenEngineInstance;
  readonly engine: StorageEngine;
  readonly settings: S3Settings;
  readonly meta: MemoryMeta;
  close(): Promise<void>;
}

async function openEngine(meta = new MemoryMeta(), puts: (count: number) => void = () => {}): Promise<OpenedEngine> {
  const settings = settingsOf(s3Engine, connection(server)) as unknown as S3Settings; // as the engine's schema says
  const instance = await openInstance(s3Engine, {
    instance: 'bench',
    dir: directory,
    config: settings,
    fs: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta,
    usage: (used) => puts(used.puts),
    signal: new AbortController().signal,
  });
  return { instance, engine: instance.engine, settings, meta, close: () => instance.close() };
}

function connection({ endpoint, accessKeyId, secretAccessKey, region }: S3Server): Record<string, string> {
  return { bucket: BUCKET, endpoint, accessKeyId, secretAccessKey, region, client: flags.client ?? 'aws' };
}

function makeBatches(): Uint8Array[] {
  const value = Buffer.alloc(BATCH_BYTES - 100);
  for (let i = 0; i < value.length; i++) value[i] = (i * 2_654_435_761) >>> 13;
  const one = encodeBatch([{ timestamp: 1_700_000_000_000, key: null, value }]);
  return Array.from({ length: Math.floor(BYTES / one.length) }, (_, offset) => {
    const batch = Buffer.from(one);
    batch.writeBigInt64BE(BigInt(offset), 0);
    return batch;
  });
}

async function ingest(engine: StorageEngine, id: string, batches: readonly Uint8Array[]): Promise<number> {
  const range = { base: 0, end: batches.length, epoch: 1, state: new Uint8Array(0), uid: id };
  return (await engine.ingest(id, range, chunked(batches))).bytes;
}

/** Chunks of 1 MiB, as core reads them. */
async function* chunked(batches: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  const many = Math.floor(MiB / BATCH_BYTES);
  for (let at = 0; at < batches.length; at += many) yield Buffer.concat(batches.slice(at, at + many));
}

async function plainUpload(
  store: ObjectStore,
  { partBytes, partsAtOnce }: S3Settings,
  key: string,
  batches: readonly Uint8Array[],
): Promise<number> {
  const upload = await store.beginUpload(key, { uid: key });
  const etags: string[] = [];
  const flights = new Set<Promise<void>>();
  let [bytes, parts, gathered] = [0, 0, 0];
  let part: Uint8Array[] = [];
  const send = async (): Promise<void> => {
    const index = parts++;
    const flight = store
      .putPart(key, upload, index + 1, [Buffer.concat(part)])
      .then((etag) => {
        etags[index] = etag;
      })
      .finally(() => void flights.delete(flight));
    flights.add(flight);
    [part, gathered] = [[], 0];
    if (flights.size >= partsAtOnce) await Promise.race(flights);
  };
  for await (const chunk of chunked(batches)) {
    part.push(chunk);
    gathered += chunk.length;
    bytes += chunk.length;
    if (gathered >= partBytes) await send();
  }
  if (gathered > 0) await send();
  await Promise.all(flights);
  await store.completeUpload(key, upload, etags);
  return bytes;
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

async function plainGets(
  store: ObjectStore,
  key: string,
  bytes: number,
  { pieceBytes, readAheadPieces }: S3Settings,
): Promise<number> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next; at < bytes; at = next) {
      next += pieceBytes;
      await store.getRange(key, at, Math.min(pieceBytes, bytes - at));
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, readAheadPieces) }, worker));
  return bytes;
}

async function largestObject(store: ObjectStore): Promise<{ readonly key: string; readonly bytes: number }> {
  const { objects } = await store.list({ prefix: '', limit: 1000 });
  const found = objects.filter(({ key }) => key.includes('/seg/cold/')).toSorted((a, b) => b.bytes - a.bytes)[0];
  if (found === undefined) throw new Error('the segment is not in the bucket');
  return found;
}

async function rateOf(run: () => Promise<number>): Promise<number> {
  const began = performance.now();
  const bytes = await run();
  return bytes / MiB / ((performance.now() - began) / 1000);
}

function report(what: string, ours: string, a: readonly number[], theirs: string, b: readonly number[]): void {
  const ratios = a.map((rate, i) => rate / (b[i] ?? rate));
  console.log(
    `\n${what}: ${ours} ${median([...a]).toFixed(0)} MiB/s, ${theirs} ${median([...b]).toFixed(0)} MiB/s, ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
  );
}
