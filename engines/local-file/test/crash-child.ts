/** Appends without end to several segments of the directory it is given, and says on stdout what was acknowledged. Killed by the test. */
import { lockDirectory, nodeFileSystem, silentLogger, systemClock, systemRandom, unreadMetrics } from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import localFile from '../src/index.ts';
import { batch } from './batches.ts';

const [dir = '', round = '0'] = process.argv.slice(2);
const engine = await localFile.open({
  instance: 'child',
  dir,
  config: { walFileBytes: 1 << 20, walFiles: 4, ringBytes: 1 << 19, checkpointBytes: 1 << 20, tailBytes: 1 << 20 },
  fs: nodeFileSystem,
  lock: lockDirectory,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  metrics: unreadMetrics,
  meta: new MemoryMeta(),
  health: () => {},
  signal: new AbortController().signal,
  node: 1,
  usage: () => {},
});

for (let name = 0; name < 8; name++) void write(`s${round}-${name}`);

async function write(id: string): Promise<void> {
  const writer = await engine.create(id, { base: 0, epoch: 1, config: {}, state: Buffer.from(id) });
  for (let base = 0; ; base++) {
    await writer.ready(4096);
    await writer.append([batch(base, 50 + ((base * 37) % 3000))], { base });
    process.stdout.write(`${id} ${base}\n`);
  }
}
