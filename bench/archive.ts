/**
 * `npm run bench:archive [-- --gb 5 --seed S --phase 20]`: a real node on local-file that archives to a real MinIO, Kafka and MQTT clients that write.
 * First the time of sends to a topic that is not archived, to one that is, and to the first while the archive is read as fast as it gives, in turns; then
 * kill -9 at every step of a move, and at random, until everything is written and each step was hit; then every byte is read back, and the bucket and the
 * disk are searched for what nobody names. By hand: it needs three times the bytes on disk. MinIO stores in memory where there is room for it (`--store DIR`, `/dev/shm` by default): in no deployment is its disk the node's,
 * and the syncs of the one would be counted against the other.
 */
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@robustmq/core/testing';
import { ServerProcess } from '../test/crash/server-process.ts';
import { s3Proxy } from '../test/real/s3-proxy.ts';
import { startMinio } from '../test/real/s3-server.ts';
import { archiveAmounts, strayFiles, strayObjects, strayUploads } from './archive-leaks.ts';
import { KafkaLoad, MqttTrickle } from './archive-load.ts';
import { readBack, readTrickle, whileHot, whileReadCold } from './archive-read.ts';
import { StepKills } from './archive-steps.ts';
import { VALUE_BYTES } from './archive-values.ts';
import { median } from './closed-loop.ts';
import { machineFacts } from './machine.ts';

const { values: flags } = parseArgs({
  options: {
    gb: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    /** Seconds of each phase in which sends are timed, and how many pairs of phases. */
    phase: { type: 'string', default: '20' },
    pairs: { type: 'string', default: '4' },
    /** MB/s of the timed phases. */
    rate: { type: 'string', default: '8' },
    store: { type: 'string', default: '/dev/shm' },
    /** The instance's `coldGetsPerSecond`, each of 4 to 16 MiB. */
    'cold-gets': { type: 'string', default: '200' },
    /** Of the kills at most: then what was not hit is said, and the run has failed. */
    minutes: { type: 'string', default: '25' },
  },
});
const PARTITIONS = 4;
/** Of the kills: wherever the node is then. */
const AT_RANDOM = 0.2;
const BUCKET = 'bench-archive';
const SETTLE_MS = 120_000;
/** So long that segments of the timed topic are sealed and due. */
const WARM_SECONDS = 12;
/** In one timed send. */
const TIMED_VALUES = 4;
/** Of sends while archiving, against without. */
const MOST_P99_RATIO = 1.5;
/** Written to the topic that is not archived while all is read back. */
const BESIDE_BYTES_PER_SECOND = 1e6;
const random = new SeededRandom(Number(flags.seed));
const bytes = Number(flags.gb) * 1e9;
const directory = await mkdtemp(join(tmpdir(), 'robust-bench-archive-'));
process.removeAllListeners('warning'); // kafkajs computes a negative timeout now and then
console.log(`${await machineFacts(directory)}\nseed ${flags.seed}`);

const minioDirectory = await mkdtemp(join(await storeParent(), 'robust-bench-minio-'));
const minio = await startMinio({ dir: minioDirectory });
await minio.createBucket(BUCKET);
const cold = {
  use: 's3',
  bucket: BUCKET,
  endpoint: minio.endpoint,
  accessKeyId: minio.accessKeyId,
  secretAccessKey: minio.secretAccessKey,
  orphanGraceMs: '2s',
  coldGetsPerSecond: Number(flags['cold-gets']),
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
const archived = (match: string) => `{match: ${match}, archive: {to: cold, after: 5s, keepLocal: 5s}}`;
const kills = new StepKills(random);
const proxy = await s3Proxy(minio, { pause: (what, moment) => kills.pause(what, moment) });
const sets = [...base, `topics=[${archived('bench')}, ${archived('mqtt')}]`];
const data = join(directory, 'data');
let server = new ServerProcess({ data, sets });
let [clean, isHeld] = [false, false];
try {
  await server.ready();
  const { ports } = server;
  const load = new KafkaLoad(ports.kafka, 'bench', PARTITIONS);
  const plain = new KafkaLoad(ports.kafka, 'plain', PARTITIONS);
  await load.open();
  await plain.open();
  const trickle = new MqttTrickle(ports.mqtt);
  const ratios: number[] = [];
  const coldRatios: number[] = [];
  const hotRatios: number[] = [];
  for (let pair = 0; pair < Number(flags.pairs); pair++) {
    await timed(plain, WARM_SECONDS);
    const off = p99(await timed(plain));
    // what is written now becomes due while the next is timed
    await timed(load, WARM_SECONDS);
    const before = await archiveAmounts(ports.admin);
    const on = p99(await timed(load));
    const after = await archiveAmounts(ports.admin);
    await until(
      () => archiveAmounts(ports.admin),
      ({ waiting, copies }) => waiting + copies === 0,
    );
    ratios.push(on / off);
    const beside = await whileReadCold(ports.kafka, load, () => timed(plain));
    const alone = await whileHot(ports.kafka, () => timed(plain));
    coldRatios.push(p99(beside.times) / off);
    hotRatios.push(p99(beside.hot) / p99(alone.hot));
    const archivedMBs = (after.archivedBytes - before.archivedBytes) / 1e6 / Number(flags.phase);
    console.log(
      `sends of ${TIMED_VALUES * (VALUE_BYTES / 1024)} KiB at ${flags.rate} MB/s for ${flags.phase} s: p99 ${off.toFixed(1)} ms to a topic that is not archived, ${on.toFixed(1)} ms while ${archivedMBs.toFixed(1)} MB/s are archived: ${(on / off).toFixed(2)}`,
    );
    console.log(
      `  while ${beside.MBs.toFixed(0)} MB/s are read from the archive: p99 ${p99(beside.times).toFixed(1)} ms: ${(p99(beside.times) / off).toFixed(2)}; reads of the newest 64 KiB: p99 ${p99(beside.hot).toFixed(1)} ms, ${p99(alone.hot).toFixed(1)} ms without: ${(p99(beside.hot) / p99(alone.hot)).toFixed(2)}`,
    );
  }
  const p99Ratio = median(ratios);
  console.log(`p99 while archiving against p99 without, median of ${ratios.length} pairs: ${p99Ratio.toFixed(2)}`);
  isHeld = ratios.length === 0 || p99Ratio <= MOST_P99_RATIO;
  if (!isHeld) console.error(`NOT HELD: p99 while archiving, the bar is ${MOST_P99_RATIO} times that without`);
  console.log(
    `p99 while the archive is read against p99 without, median: of sends ${median(coldRatios).toFixed(2)}, of reads of what is newest ${median(hotRatios).toFixed(2)}`,
  );

  // from here on every request to the store comes by the proxy
  const watched = [...sets, `engines.cold.endpoint=${proxy.endpoint}`];
  let killed = 0;
  const kill = async (): Promise<void> => {
    if (!server.running) throw new Error(`the server ended by itself:\n${server.log}`);
    await server.kill();
    killed++;
  };
  const begin = async (): Promise<void> => {
    server = new ServerProcess({ data, ports, sets: watched });
    await server.ready();
  };
  await server.kill();
  await begin();
  kills.watch(data);
  const endsAt = performance.now() + Number(flags.minutes) * 60_000;
  const isOver = () => (load.bytes >= bytes && kills.missing.length === 0) || performance.now() > endsAt;
  let written = false;
  const writing = load.produce(isOver, { bytesPerSecond: 1e9 }).then(() => (written = true));
  // the last while nothing is written any more, but much is still to be moved
  for (let more = 8; !written || more-- > 0; ) {
    const isAtRandom = random.next() < AT_RANDOM;
    const step = await Promise.race([isAtRandom ? sleep(random.next() * 4000) : kills.next(kill), failed(writing)]);
    if (step === undefined) await kill();
    await begin();
    await sleep(random.next() * 500);
  }
  await writing;
  kills.close();
  await trickle.stop();
  await load.close();
  console.log(
    `${(load.bytes / 1e9).toFixed(2)} GB written, ${killed} kills; of these, by the step at which the node was hit:\n${kills.table()}`,
  );
  if (kills.missing.length > 0) console.error(`not hit often enough: ${kills.missing.join('; ')}`);
  await settled(ports.admin, join(data, 'engines/local/segments'));
  // others go on writing meanwhile
  const beside = new MqttTrickle(ports.mqtt, 'beside');
  let isRead = false;
  const [found] = await Promise.all([
    readBack(ports.kafka, 'bench', load.acknowledged).finally(() => (isRead = true)),
    plain.produce(() => isRead, { bytesPerSecond: BESIDE_BYTES_PER_SECOND, values: TIMED_VALUES }),
  ]);
  await Promise.all([beside.stop(), plain.close()]);
  await settled(ports.admin, join(data, 'engines/local/segments'));
  const sent = new Set([...trickle.acknowledged, ...beside.acknowledged]);
  const lostMqtt = await readTrickle(ports.kafka, 'mqtt', sent);
  const topics = ['bench', 'mqtt'];
  const leaks = await until(
    async () => ({
      objects: [...(await strayObjects(minio, BUCKET, directory, topics)), ...(await strayUploads(minioDirectory))],
      files: await strayFiles(ports.admin, join(data, 'engines/local/segments')),
    }),
    ({ objects, files }) => objects.length + files.length === 0,
  );
  for (const name of [...leaks.objects, ...leaks.files]) console.error(`left over: ${name}`);
  const wrong = Object.values(found).reduce((sum, count) => sum + count, 0) + load.renumbered + lostMqtt;
  clean = wrong + leaks.objects.length + leaks.files.length + kills.missing.length === 0;
  const { archivedBytes } = await archiveAmounts(ports.admin);
  console.log(
    JSON.stringify({
      seed: Number(flags.seed),
      gb: load.bytes / 1e9,
      archivedGb: archivedBytes / 1e9,
      kills: killed,
      steps: `${kills.hits.size - kills.missing.length} of ${kills.hits.size}`,
      ...found,
      renumberedAnswers: load.renumbered,
      mqtt: sent.size,
      lostMqtt,
      leakedObjects: leaks.objects.length,
      leakedFiles: leaks.files.length,
      p99Ratio,
      coldRatio: median(coldRatios),
      hotRatio: median(hotRatios),
      clean,
      isHeld,
    }),
  );
} catch (error) {
  console.error(error, server.log);
} finally {
  await server.kill();
  await proxy.close();
  await minio.stop();
  await rm(minioDirectory, { recursive: true, force: true });
  if (clean) await rm(directory, { recursive: true });
  else console.error(`The data stays: ${directory}`);
}
// client libraries may still be looking for the server
process.exit(clean && isHeld ? 0 : 1);

/** @returns the time of each send, ms */
function timed(load: KafkaLoad, seconds = Number(flags.phase)): Promise<number[]> {
  const end = performance.now() + seconds * 1000;
  return load.produce(() => performance.now() > end, {
    bytesPerSecond: Number(flags.rate) * 1e6,
    values: TIMED_VALUES,
  });
}

async function storeParent(): Promise<string> {
  const room = await statfs(flags.store).catch(() => undefined);
  return room !== undefined && room.bavail * room.bsize > 2 * bytes ? flags.store : directory;
}

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
