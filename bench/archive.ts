/**
 * `npm run bench:archive [-- --gb 5 --seed S --phase 20]`: a real node on local-file that archives to a real MinIO, Kafka and MQTT clients that write.
 * First the time of sends without archiving and during it, in turns; then kill -9 again and again until everything is written and archived;
 * then every byte is read back, and the bucket and the disk are searched for what nobody names. By hand: it needs three times the bytes on disk.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@robustmq/core/testing';
import { ServerProcess } from '../test/crash/server-process.ts';
import { startMinio } from '../test/real/s3-server.ts';
import { archiveAmounts, strayFiles, strayObjects } from './archive-leaks.ts';
import { KafkaLoad, MqttTrickle } from './archive-load.ts';
import { readBack, readTrickle } from './archive-read.ts';
import { machineFacts } from './machine.ts';

const { values: flags } = parseArgs({
  options: {
    gb: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    /** Seconds of each phase in which sends are timed. */
    phase: { type: 'string', default: '20' },
    /** MB/s of the timed phases. */
    rate: { type: 'string', default: '8' },
  },
});
const PARTITIONS = 4;
const BUCKET = 'bench-archive';
const SETTLE_MS = 120_000;
const random = new SeededRandom(Number(flags.seed));
const bytes = Number(flags.gb) * 1e9;
const directory = await mkdtemp(join(tmpdir(), 'robust-bench-archive-'));
process.removeAllListeners('warning'); // kafkajs computes a negative timeout now and then
console.log(`${await machineFacts(directory)}\nseed ${flags.seed}`);

const minio = await startMinio({ dir: join(directory, 'minio') });
await minio.createBucket(BUCKET);
const cold = {
  use: 's3',
  bucket: BUCKET,
  endpoint: minio.endpoint,
  accessKeyId: minio.accessKeyId,
  secretAccessKey: minio.secretAccessKey,
  orphanGraceMs: '5s',
};
// JSON is YAML; for the commands that ask the bucket
await writeFile(join(directory, 'robust.yaml'), JSON.stringify({ engines: { cold } }));
const base = [
  ...Object.entries(cold).map(([name, value]) => `engines.cold.${name}=${value}`),
  'defaults.segment.bytes=64MiB',
  'defaults.segment.ms=5s',
  'storage.maintenanceIntervalMs=500',
  'storage.manifestIntervalMs=1s',
  'storage.deleteGraceMs=1s',
];
const withArchive = [...base, 'defaults.archive.to=cold', 'defaults.archive.after=5s', 'defaults.archive.keepLocal=5s'];
const data = join(directory, 'data');
let server = new ServerProcess({ data, sets: base });
let clean = false;
try {
  await server.ready();
  const { ports } = server;
  const load = new KafkaLoad(ports.kafka, 'bench', PARTITIONS);
  await load.open();
  const trickle = new MqttTrickle(ports.mqtt);
  const restart = async (sets: readonly string[]) => {
    await server.stop();
    server = new ServerProcess({ data, ports, sets });
    await server.ready();
  };
  const timed = () => {
    const until = performance.now() + Number(flags.phase) * 1000;
    return load.produce(() => performance.now() > until, Number(flags.rate) * 1e6);
  };
  await timed(); // warms up
  const off = await timed();
  await restart(withArchive);
  await timed(); // warms up again, and what was written before becomes due
  const before = await archiveAmounts(ports.admin);
  const on = await timed();
  const after = await archiveAmounts(ports.admin);
  const archivedMBs = (after.archivedBytes - before.archivedBytes) / 1e6 / Number(flags.phase);
  const [offP99, onP99] = [p99(off), p99(on)];
  console.log(
    `sends of 256 KiB at ${flags.rate} MB/s: p99 ${offP99.toFixed(1)} ms without archiving (${off.length} sends), ${onP99.toFixed(1)} ms with ${archivedMBs.toFixed(1)} MB/s archived meanwhile (${on.length} sends): ${(onP99 / offP99).toFixed(2)}`,
  );

  let kills = 0;
  let killedMoving = 0;
  const crash = async () => {
    if (!server.running) throw new Error(`the server ended by itself:\n${server.log}`);
    const { waiting } = await archiveAmounts(ports.admin);
    await server.kill();
    kills++;
    if (waiting > 0) killedMoving++;
    server = new ServerProcess({ data, ports, sets: withArchive });
    await server.ready();
  };
  let written = false;
  const writing = load.produce(() => load.bytes >= bytes, 1e9).then(() => (written = true));
  // the last third while nothing is written any more, but much is still to be moved
  for (let more = 8; !written || more-- > 0; ) {
    await Promise.race([sleep(500 + random.next() * 3500), failed(writing)]);
    await crash();
  }
  await writing;
  await trickle.stop();
  await load.close();
  console.log(
    `${(load.bytes / 1e9).toFixed(2)} GB written, ${kills} kills, ${killedMoving} while segments were to be moved`,
  );
  await settled(ports.admin, join(data, 'engines/local/segments'));
  const found = await readBack(ports.kafka, 'bench', load.acknowledged);
  const lostMqtt = await readTrickle(ports.kafka, 'mqtt', trickle.acknowledged);
  const topics = ['bench', 'mqtt'];
  const leaks = await until(
    async () => ({
      objects: await strayObjects(minio, BUCKET, directory, topics),
      files: await strayFiles(ports.admin, join(data, 'engines/local/segments')),
    }),
    ({ objects, files }) => objects.length + files.length === 0,
  );
  for (const name of [...leaks.objects, ...leaks.files]) console.error(`left over: ${name}`);
  const wrong = Object.values(found).reduce((sum, count) => sum + count, 0) + load.renumbered + lostMqtt;
  clean = wrong + leaks.objects.length + leaks.files.length === 0;
  const { archivedBytes } = await archiveAmounts(ports.admin);
  console.log(
    JSON.stringify({
      seed: Number(flags.seed),
      gb: load.bytes / 1e9,
      archivedGb: archivedBytes / 1e9,
      kills,
      killedMoving,
      ...found,
      renumberedAnswers: load.renumbered,
      mqtt: trickle.acknowledged.size,
      lostMqtt,
      leakedObjects: leaks.objects.length,
      leakedFiles: leaks.files.length,
      p99Ratio: onP99 / offP99,
      clean,
    }),
  );
} catch (error) {
  console.error(error, server.log);
} finally {
  await server.kill();
  await minio.stop();
  if (clean) await rm(directory, { recursive: true });
  else console.error(`The data stays: ${directory}`);
}
// client libraries may still be looking for the server
process.exit(clean ? 0 : 1);

/** Everything has been moved, and no copy is left. The end of each shard is sealed by its age. */
async function settled(admin: number, segments: string): Promise<void> {
  await sleep(10_000);
  // describes every topic: the status speaks of shards that have been used since the start
  await strayFiles(admin, segments);
  const amounts = await until(
    () => archiveAmounts(admin),
    ({ waiting, copies }) => waiting + copies === 0,
  );
  if (amounts.waiting + amounts.copies > 0) throw new Error(`still not archived: ${JSON.stringify(amounts)}`);
}

async function until<T>(look: () => Promise<T>, isGood: (value: T) => boolean): Promise<T> {
  const end = performance.now() + SETTLE_MS;
  for (;;) {
    const value = await look();
    if (isGood(value) || performance.now() > end) return value;
    await sleep(1000);
  }
}

function failed(promise: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    promise.catch(reject);
  });
}

function p99(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN;
}
