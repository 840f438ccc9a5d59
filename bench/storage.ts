/**
 * `npm run bench:storage [-- --seconds 0.5 --repeat 6 --dir /tmp]`: local-file, bare and behind core's shards, against the raw disk, by turns in one run,
 * so that what disturbs the machine disturbs both; the lag of the event loop meanwhile; and the memory engine in batches of 100.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { settingsOf } from '@robustmq/conformance';
import type { Shard } from '@robustmq/core';
import localFileEngine from '@robustmq/engine-local-file';
import type { RunningNode } from '@robustmq/server';
import { closedLoop, type LoopResult, median, type Send } from './closed-loop.ts';
import { bareEngine, createWriters, engineAppends } from './engine-appends.ts';
import { machineFacts } from './machine.ts';
import { storageNode } from './node.ts';
import { RawGroupCommit } from './raw-group-commit.ts';
import { shardAppends } from './shard-appends.ts';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '0.5' },
    repeat: { type: 'string', default: '6' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const seconds = Number(flags.seconds);
const repeat = Number(flags.repeat);
const RECORD_BYTES = 1024;
const IN_FLIGHT = [1, 64, 256, 1024];
const SHARDS = [1, 1000];
/** The resolution of the lag measure, which is part of what it reports. */
const LAG_RESOLUTION_MS = 1;

const directory = await mkdtemp(join(flags.dir, 'robust-bench-'));
try {
  console.log(`${await machineFacts(directory)}\n`);
  console.log(
    `1 KB records, each an append of its own; ${repeat} x ${seconds} s each, by turns, in an order that turns round; medians`,
  );
  console.log(
    'raw: the disk; engine: local-file behind its wrapper; shards: the whole of core above it; (x) is the ratio to raw',
  );
  console.log(
    'shards  in flight |     raw/s   p50 ms   p99 ms |  engine/s   p50 ms   p99 ms   (x)  |  shards/s   p50 ms   p99 ms   (x)  | loop lag p99 ms',
  );
  const raw = new RawGroupCommit(directory, RECORD_BYTES);
  for (const shards of SHARDS) await localFile(raw, shards);
  raw.close();
  await memory();
} finally {
  await rm(directory, { recursive: true });
}

interface Runner {
  readonly send: Send;
  readonly results: LoopResult[];
}

async function localFile(raw: RawGroupCommit, count: number): Promise<void> {
  const config = settingsOf(localFileEngine);
  const engine = await bareEngine(localFileEngine, join(directory, `engine-${count}`), config);
  const writers = await createWriters(engine, count);
  const node = await storageNode(join(directory, `data-${count}`), ['defaults.segment.bytes=1GiB']);
  const shards = await openShards(node, 'bench', count);
  for (const inFlight of IN_FLIGHT) {
    const disk: Runner = { send: raw.send, results: [] };
    const bare: Runner = { send: engineAppends(writers, RECORD_BYTES), results: [] };
    const whole: Runner = { send: shardAppends(shards, { records: 1, valueBytes: RECORD_BYTES }), results: [] };
    const lags: number[] = [];
    for (let round = 0; round < repeat; round++) {
      // what one leaves behind (dirty pages, a disk that has used up its burst) falls on each of the others as often
      const order = round % 2 === 0 ? [disk, bare, whole] : [whole, bare, disk];
      for (const runner of order) {
        const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
        lag.enable();
        runner.results.push(await closedLoop(inFlight, seconds, runner.send));
        lag.disable();
        if (runner === whole) lags.push(lag.percentile(99) / 1e6 - LAG_RESOLUTION_MS);
      }
    }
    const row = [
      count.toString().padStart(6),
      `${inFlight.toString().padStart(10)} |`,
      `${columns(disk.results, 9)} |`,
      `${columns(bare.results, 9)} ${ratio(bare.results, disk.results)} |`,
      `${columns(whole.results, 9)} ${ratio(whole.results, disk.results)} |`,
      median(lags).toFixed(1).padStart(8),
    ];
    console.log(row.join(' '));
  }
  await engine.close();
  await node.stop();
  for (const kind of ['engine', 'data']) await rm(join(directory, `${kind}-${count}`), { recursive: true });
}

/** The median of the ratios of the rounds. */
function ratio(ours: readonly LoopResult[], raws: readonly LoopResult[]): string {
  const ratios = ours.map((one, round) => one.perSecond / (raws[round]?.perSecond ?? Number.NaN));
  return `(${median(ratios).toFixed(2)})`;
}

async function memory(): Promise<void> {
  console.log('\nmemory engine, batches of 100 records of 100 bytes');
  console.log('shards  in flight | records/s   p50 ms   p99 ms');
  for (const count of [1, 16]) {
    for (const inFlight of [1, 16, 64]) {
      const results: LoopResult[] = [];
      for (let round = 0; round < repeat; round++) results.push(await memoryRun(count, inFlight));
      console.log(`${count.toString().padStart(6)} ${inFlight.toString().padStart(10)} | ${columns(results, 9)}`);
    }
  }
}

/** On a node of its own, with room for all that is written: dropping what is old is not what is measured. */
async function memoryRun(count: number, inFlight: number): Promise<LoopResult> {
  const limit = `engines.memory.limitBytes=${Math.ceil(seconds * 2)}GiB`;
  const node = await storageNode(join(directory, 'memory'), ['defaults.engine=memory', limit]);
  const shards = await openShards(node, 'bench', count);
  const result = await closedLoop(inFlight, seconds, shardAppends(shards, { records: 100, valueBytes: 100 }));
  await node.stop();
  await rm(join(directory, 'memory'), { recursive: true });
  return { ...result, perSecond: result.perSecond * 100 };
}

/** Each has been written to once: its segment is open. */
async function openShards(node: RunningNode, name: string, count: number): Promise<readonly Shard[]> {
  const topic = await node.storage.createTopic(name, { overrides: { shards: count } });
  const shards = node.storage.shards(topic);
  const send = shardAppends(shards, { records: 1, valueBytes: 1 });
  await Promise.all(
    shards.map(
      (_, client) =>
        new Promise<void>((resolve, reject) => {
          send(client, (error) => (error === undefined ? resolve() : reject(error)));
        }),
    ),
  );
  return shards;
}

function columns(results: readonly LoopResult[], width: number): string {
  const rate = median(results.map((one) => one.perSecond));
  const p50 = median(results.map((one) => one.p50Ms));
  const p99 = median(results.map((one) => one.p99Ms));
  return [Math.round(rate).toString().padStart(width), p50.toFixed(2).padStart(8), p99.toFixed(2).padStart(8)].join(
    ' ',
  );
}
