import { mkdirSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openWorld, type Subject } from '@robustmq/conformance';
import { encodeBatch, patchOffsetAndEpoch, type SegmentReader, type SegmentWriter } from '@robustmq/core';
import type { Send } from './closed-loop.ts';
import { bareEngine, createWriters, engineAppends } from './engine-appends.ts';
import { RawGroupCommit } from './raw-group-commit.ts';

/** One kind of work, measured of each engine and of the disk alone. Higher is better, but for `ms`. */
export interface Work {
  readonly name: string;
  readonly unit: 'records/s' | 'MiB/s' | 'reads/s' | 'ms';
  /** Once for each round, in a folder of its own. `undefined`: the engine does not do such work. */
  engine(subject: Subject, dir: string): Promise<number | undefined>;
  raw(dir: string): Promise<number>;
}

export interface WorkOptions {
  readonly seconds: number;
  readonly segments: number;
  readonly inFlight: readonly number[];
}

const RECORD_BYTES = 1024;
const BATCH = { records: 100, valueBytes: 100, inFlight: 16 };
/** A round of appends ends here, too: an engine in memory would fill it before the time is over. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
const ROUND_BYTES = 64 * 1024 * 1024;
/** What is read, and recovered. */
const STORED_BYTES = 16 * 1024 * 1024;
const READ_BYTES = 64 * 1024;
const RANDOM_READS = 2000;

export function kindsOfWork(disks: RawDisks, { seconds, segments, inFlight }: WorkOptions): Work[] {
  return [
    ...[1, segments].flatMap((count) => inFlight.map((clients) => appends(disks, count, clients, seconds))),
    batchAppends(disks, seconds),
    {
      name: 'read in order',
      unit: 'MiB/s',
      engine: (subject, dir) => onStored(subject, dir, readAll),
      raw: (dir) => onFile(dir, (path) => readFileInOrder(path)),
    },
    {
      name: 'read at random, 4 KiB',
      unit: 'reads/s',
      engine: (subject, dir) => onStored(subject, dir, readAtRandom),
      raw: (dir) => onFile(dir, (path) => readFileAtRandom(path)),
    },
    { name: 'start and recover 16 MiB', unit: 'ms', engine: recovery, raw: (dir) => onFile(dir, timeToRead) },
  ];
}

function appends(disks: RawDisks, segments: number, clients: number, seconds: number): Work {
  const most = Math.min(segments * SEGMENT_BYTES, ROUND_BYTES) / (RECORD_BYTES + 128);
  return {
    name: `append 1 KiB, ${clients} in flight, ${segments} segment${segments === 1 ? '' : 's'}`,
    unit: 'records/s',
    engine: (subject, dir) =>
      onWriters(subject, dir, segments, (writers) =>
        limitedLoop(clients, seconds, most, engineAppends(writers, RECORD_BYTES)),
      ),
    raw: () => limitedLoop(clients, seconds, most, disks.of(RECORD_BYTES).send),
  };
}

function batchAppends(disks: RawDisks, seconds: number): Work {
  const template = batchOf(BATCH.records, BATCH.valueBytes);
  const most = SEGMENT_BYTES / template.length;
  return {
    name: `append batches of ${BATCH.records} x ${BATCH.valueBytes} bytes, ${BATCH.inFlight} in flight`,
    unit: 'records/s',
    engine: (subject, dir) =>
      onWriters(subject, dir, 1, async ([writer]) => {
        if (writer === undefined) return Number.NaN;
        return BATCH.records * (await limitedLoop(BATCH.inFlight, seconds, most, batchSends(writer, template)));
      }),
    raw: async () => BATCH.records * (await limitedLoop(BATCH.inFlight, seconds, most, disks.of(template.length).send)),
  };
}

function batchSends(writer: SegmentWriter, template: Uint8Array): Send {
  const buffers = new Map<number, Uint8Array>();
  let end = 0;
  return (client, done) => {
    const bytes = buffers.get(client) ?? Uint8Array.from(template);
    buffers.set(client, bytes);
    const append = (): void => {
      patchOffsetAndEpoch(bytes, end, 1);
      const base = end;
      end += BATCH.records;
      writer.append([bytes], { base }).then(() => done(), done);
    };
    const credit = writer.ready(template.length);
    if (credit === undefined) append();
    else void credit.then(append, done);
  };
}

/** Sends a second: `clients` in flight until the time is over or so many have been sent. */
function limitedLoop(clients: number, seconds: number, most: number, send: Send): Promise<number> {
  const from = performance.now();
  let sent = 0;
  let count = 0;
  let running = clients;
  return new Promise((resolve, reject) => {
    const run = (client: number): void => {
      if (sent >= most || performance.now() - from > seconds * 1000) {
        if (--running === 0) resolve((count * 1000) / (performance.now() - from));
        return;
      }
      sent++;
      send(client, (error) => {
        if (error !== undefined) return reject(error);
        count++;
        run(client);
      });
    };
    for (let client = 0; client < clients; client++) run(client);
  });
}

async function onWriters(
  { definition, config }: Subject,
  dir: string,
  segments: number,
  run: (writers: readonly SegmentWriter[]) => Promise<number>,
): Promise<number | undefined> {
  if (!definition.capabilities.append) return undefined;
  const instance = await bareEngine(definition, dir, config);
  try {
    return await run(await createWriters(instance, segments));
  } finally {
    await instance.close();
  }
}

/** Their files of zeroes are made once: they are large. */
export class RawDisks {
  readonly #dir: string;
  readonly #disks = new Map<number, RawGroupCommit>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  of(bytes: number): RawGroupCommit {
    let disk = this.#disks.get(bytes);
    if (disk === undefined) {
      const dir = join(this.#dir, `raw-${bytes}`);
      mkdirSync(dir);
      disk = new RawGroupCommit(dir, bytes, ROUND_BYTES);
      this.#disks.set(bytes, disk);
    }
    return disk;
  }

  close(): void {
    for (const disk of this.#disks.values()) disk.close();
  }
}

/** A sealed segment that came in whole: what every engine can hold. */
async function onStored(
  { definition, config }: Subject,
  dir: string,
  run: (reader: SegmentReader) => Promise<number>,
): Promise<number> {
  const instance = await bareEngine(definition, dir, config);
  try {
    const count = Math.floor(STORED_BYTES / RECORD_BYTES);
    const options = { base: 0, end: count, epoch: 1, state: new Uint8Array(0), uid: 'bench' };
    await instance.engine.ingest('stored', options, storedBatches(count));
    const reader = await instance.engine.openReader('stored');
    const result = await run(reader);
    await reader.close();
    return result;
  } finally {
    await instance.close();
  }
}

async function* storedBatches(count: number): AsyncGenerator<Uint8Array> {
  const template = batchOf(1, RECORD_BYTES);
  for (let base = 0; base < count; base += 64)
    yield Buffer.concat(
      Array.from({ length: Math.min(64, count - base) }, (_, i) => {
        const bytes = Uint8Array.from(template);
        patchOffsetAndEpoch(bytes, base + i, 1);
        return bytes;
      }),
    );
}

async function readAll(reader: SegmentReader): Promise<number> {
  const { end } = reader.offsets();
  const from = performance.now();
  let bytes = 0;
  for (let at = 0; at < end; ) {
    const read = await reader.read(at, { maxBytes: READ_BYTES });
    bytes += read.bytes.length;
    at = read.next;
  }
  return mibPerSecond(bytes, from);
}

async function readAtRandom(reader: SegmentReader): Promise<number> {
  const { end } = reader.offsets();
  const from = performance.now();
  for (let i = 0; i < RANDOM_READS; i++) await reader.read((i * 7919) % end, { maxBytes: 4096 });
  return (RANDOM_READS * 1000) / (performance.now() - from);
}

/** Of an instance that was pulled the plug of, with all that was written to one segment open. */
async function recovery({ definition, config }: Subject): Promise<number | undefined> {
  const { append, durability } = definition.capabilities;
  if (!append || durability === 'none') return undefined;
  const world = await openWorld(definition, { config });
  try {
    const writer = await world.engine.create('s', { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) });
    // engines that gather appends for a time take many at once, or it takes minutes
    await limitedLoop(1024, 60, STORED_BYTES / RECORD_BYTES, engineAppends([writer], RECORD_BYTES));
    const from = performance.now();
    await world.reopen({ crash: true });
    await world.engine.recover('s', { epoch: 2 });
    return performance.now() - from;
  } finally {
    await world.dispose();
  }
}

async function onFile(dir: string, run: (path: string) => Promise<number>): Promise<number> {
  const path = join(dir, 'raw-file');
  await using file = await open(path, 'w');
  for (let at = 0; at < STORED_BYTES; at += 1024 * 1024)
    await file.write(Buffer.alloc(1024 * 1024, 'x'), 0, undefined, at);
  await file.datasync();
  try {
    return await run(path);
  } finally {
    await rm(path);
  }
}

async function readFileInOrder(path: string): Promise<number> {
  await using file = await open(path, 'r');
  const from = performance.now();
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, bytes);
    if (bytesRead === 0) return mibPerSecond(bytes, from);
    bytes += bytesRead;
  }
}

async function readFileAtRandom(path: string): Promise<number> {
  await using file = await open(path, 'r');
  const from = performance.now();
  for (let i = 0; i < RANDOM_READS; i++)
    await file.read(Buffer.allocUnsafe(4096), 0, 4096, (i * 7919 * 1024) % (STORED_BYTES - 4096));
  return (RANDOM_READS * 1000) / (performance.now() - from);
}

async function timeToRead(path: string): Promise<number> {
  const from = performance.now();
  await readFile(path);
  return performance.now() - from;
}

function batchOf(records: number, valueBytes: number): Uint8Array {
  const record = { timestamp: 1_700_000_000_000, key: null, value: Buffer.alloc(valueBytes, 'x'), headers: [] };
  return encodeBatch(Array.from({ length: records }, () => record));
}

function mibPerSecond(bytes: number, fromMs: number): number {
  return (bytes * 1000) / 2 ** 20 / (performance.now() - fromMs);
}
