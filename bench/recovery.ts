/**
 * `npm run bench:recovery [-- --sealed 10 --wal 1 --dir /tmp --drop-caches]`: GiB of sealed segments, then a write-ahead log of so much that is
 * not in synced segment files yet, then kill -9; and how long the next start takes until every shard answers, and how many bytes it reads.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { RunningNode } from '@robustmq/server';
import { machineFacts } from './machine.ts';
import { storageNode } from './node.ts';
import { shardAppends } from './shard-appends.ts';

const { values: flags } = parseArgs({
  options: {
    sealed: { type: 'string', default: '10' },
    wal: { type: 'string', default: '1' },
    dir: { type: 'string', default: tmpdir() },
    'drop-caches': { type: 'boolean', default: false },
    /** What a child of this script does, and where. */
    child: { type: 'string' },
    data: { type: 'string', default: '' },
  },
});
const GIB = 2 ** 30;
const TOPIC = 'bench';
const SHARDS = 8;
const BATCH = { records: 100, valueBytes: 1000 };
const BATCH_BYTES = BATCH.records * BATCH.valueBytes;
const IN_FLIGHT = 32;
/** Room for a log of that size before its segment files must be synced. */
const SETS = ['engines.local.checkpointBytes=1GiB', 'engines.local.walFiles=40'];

if (flags.child === 'seal') await seal();
else if (flags.child === 'crash') await crash();
else if (flags.child === 'open') await open();
else await main();

async function main(): Promise<void> {
  const { bavail, bsize } = await statfs(flags.dir);
  const needed = (Number(flags.sealed) + 2 * Number(flags.wal) + 5) * GIB;
  if (bavail * bsize < needed) throw new Error(`${flags.dir} needs ${Math.ceil(needed / GIB)} GiB of free space`);
  const data = await mkdtemp(join(flags.dir, 'robust-bench-'));
  try {
    console.log(await machineFacts(data));
    for (const child of ['seal', 'crash']) await run(child, data);
    if (flags['drop-caches']) await writeFile('/proc/sys/vm/drop_caches', '3');
    await run('open', data);
    await run('open', data);
  } finally {
    await rm(data, { recursive: true });
  }
}

async function run(child: string, data: string): Promise<void> {
  const words = [import.meta.filename, '--child', child, '--data', data, '--sealed', flags.sealed, '--wal', flags.wal];
  const [code, signal] = await once(spawn(process.execPath, words, { stdio: 'inherit' }), 'exit');
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`${child} ended with ${code ?? signal}`);
}

async function seal(): Promise<void> {
  const node = await storageNode(flags.data, SETS);
  await node.storage.createTopic(TOPIC, { overrides: { shards: SHARDS } });
  await write(node, Number(flags.sealed) * GIB);
  await node.stop();
  console.log(`${flags.sealed} GiB written and sealed`);
}

async function crash(): Promise<void> {
  const node = await storageNode(flags.data, SETS);
  // a little less, so that no checkpoint is due yet
  await write(node, Number(flags.wal) * GIB * 0.95);
  console.log(`${flags.wal} GiB more in the write-ahead log, then kill -9`);
  process.kill(process.pid, 'SIGKILL');
}

async function open(): Promise<void> {
  const before = await bytesRead();
  const began = performance.now();
  const node = await storageNode(flags.data, SETS);
  const opened = performance.now();
  const shards = node.storage.shards(topicOf(node));
  const ends = await Promise.all(shards.map((shard) => shard.offsets()));
  const answered = performance.now();
  const after = await bytesRead();
  const records = ends.reduce((sum, { logStart, committed }) => sum + committed - logStart, 0);
  console.log(`open ${(opened - began).toFixed(0)} ms, all shards answer after ${(answered - began).toFixed(0)} ms: ${records} records
  read() gave ${mib(after.calls - before.calls)} MiB, of which from the disk ${mib(after.disk - before.disk)} MiB`);
  await node.stop();
}

function write(node: RunningNode, bytes: number): Promise<void> {
  const send = shardAppends(node.storage.shards(topicOf(node)), BATCH);
  let left = Math.ceil(bytes / BATCH_BYTES);
  let running = IN_FLIGHT;
  return new Promise((resolve, reject) => {
    const next = (client: number) => {
      if (left-- <= 0) {
        if (--running === 0) resolve();
        return;
      }
      send(client, (error) => (error === undefined ? next(client) : reject(error)));
    };
    for (let client = 0; client < IN_FLIGHT; client++) next(client);
  });
}

function topicOf(node: RunningNode) {
  const topic = node.storage.topic(TOPIC);
  if (topic === undefined) throw new Error(`no topic ${TOPIC}`);
  return topic;
}

/** Of all threads of this process. */
async function bytesRead(): Promise<{ calls: number; disk: number }> {
  const io = await readFile('/proc/self/io', 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? Number.NaN);
  return { calls: field('rchar'), disk: field('read_bytes') };
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
