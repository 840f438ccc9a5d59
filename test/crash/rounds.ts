/**
 * `npm run crash -- --rounds N [--seconds T] [--seed S] [--alter] [--set path=value]`: kills the real server with -9 at moments that chance picks, again and
 * again, under Kafka and MQTT load, and checks from the clients' side that nothing acknowledged is lost, and nothing is duplicated,
 * reordered, renumbered, changed or made up. `--alter` moves the topics to and fro between two local-file instances meanwhile.
 *
 * Ends with one line of JSON and exit code 0 when nothing was found. A failed run keeps its data directory.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@robustmq/core/testing';
import { Alterations } from './alterations.ts';
import { History } from './history.ts';
import { IdempotentLoad } from './idempotent-load.ts';
import { KafkaWire } from './kafka-wire.ts';
import { kafkajsLoad, mqttjsLoad, platformaticLoad } from './library-loads.ts';
import type { Load } from './load.ts';
import { LogReader } from './log-reader.ts';
import { MqttLoad } from './mqtt-load.ts';
import { ServerProcess } from './server-process.ts';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    alter: { type: 'boolean', default: false },
    /** More settings of the server, `path=value`. */
    set: { type: 'string', multiple: true, default: [] },
  },
});
// kafkajs computes a negative timeout now and then, and Node says so each time
process.removeAllListeners('warning');
const seed = Number(flags.seed);
const random = new SeededRandom(seed);
const began = performance.now();
const data = await mkdtemp(join(tmpdir(), 'robust-crash-'));
const topics = { kafka: { name: 'crash', shards: 4 }, mqtt: { name: 'mqtt', shards: 1 } };
// small segments and frequent upkeep, so that rolling, merging, moving, deleting and recovering many are part of every run
const sets = [
  'engines.second.use=local-file',
  'defaults.segment.bytes=200000',
  'storage.deleteGraceMs=300',
  'storage.maintenanceIntervalMs=100',
  ...flags.set,
];
/** How long the loads may take to get the rest acknowledged once nothing is killed any more. */
const SETTLE_MS = 30_000;

console.log(`seed ${seed}, data in ${data}${flags.alter ? ', with engine changes' : ''}`);
const history = new History();
const reader = new LogReader(history);
let server = new ServerProcess({ data, sets });
const stop = new AbortController();
let rounds = 0;
const startMs: number[] = [];
const checkMs: number[] = [];
let killedInStart = 0;
let failure: unknown;

try {
  await server.ready();
  const ports = server.ports;
  await createTopic(ports.kafka);
  const loads = makeLoads(ports);
  const running = Promise.all(loads.map((load) => load.run(stop.signal)));
  const alterations = new Alterations(
    ports.admin,
    random,
    Object.values(topics).map((topic) => topic.name),
  );
  if (flags.alter) alterations.start(stop.signal);
  await Promise.race([failed(running), killAgainAndAgain(ports)]);
  await alterations.stop();
  for (const load of loads) load.stop();
  const settled = await Promise.race([running.then(() => true), sleep(SETTLE_MS, false, { ref: false })]);
  if (!settled) throw new Error(`after ${SETTLE_MS} ms some sends are still not acknowledged: ${describe(loads)}`);
  await check(ports.kafka);
  const code = await server.stop();
  if (code !== 0) throw new Error(`a clean stop ended with code ${code}:\n${server.log}`);
  server = new ServerProcess({ data, ports, sets });
  await server.ready();
  for (const { name, shards } of Object.values(topics)) await reader.readAgain(ports.kafka, name, shards);
  history.checkLogs();
  console.log(describe(loads));
  if (flags.alter)
    console.log(`engine changes: ${alterations.done}, refused while the server was away: ${alterations.refused}`);
} catch (error) {
  failure = error;
}
stop.abort();
await server.kill();
await report();

async function killAgainAndAgain(ports: ServerProcess['ports']): Promise<void> {
  const seconds = Number(flags.seconds);
  while (rounds < Number(flags.rounds) && performance.now() - began < seconds * 1000) {
    await sleep(50 + random.next() * 450);
    if (!server.running) throw new Error(`the server ended by itself:\n${server.log}`);
    await server.kill();
    server = new ServerProcess({ data, ports, sets });
    while (random.next() < 0.2) {
      // again, somewhere in its recovery
      await sleep(random.next() * 600);
      await server.kill();
      killedInStart++;
      server = new ServerProcess({ data, ports, sets });
    }
    const spawnedAt = performance.now();
    await server.ready();
    const readyAt = performance.now();
    await check(ports.kafka);
    startMs.push(readyAt - spawnedAt);
    checkMs.push(performance.now() - readyAt);
    rounds++;
    if (rounds % 10 === 0) console.log(`round ${rounds}: ${JSON.stringify(history.counts)}, ${elapsedSeconds()} s`);
    if (history.violations.length > 0) return;
  }
}

/** All that is acknowledged by now can be read. */
async function check(port: number): Promise<void> {
  const outstanding = history.outstanding();
  for (const { name, shards } of Object.values(topics)) {
    await reader.catchUp(port, name, shards);
    await reader.lookBack(port, name, shards, random);
  }
  history.expectSeen(outstanding);
}

function makeLoads({ kafka, mqtt }: ServerProcess['ports']): Load[] {
  const topic = topics.kafka.name;
  const target = (partition: number) => ({ topic, partition, port: kafka });
  const own = (partition: number) => ({ topic, partition, port: () => kafka, random });
  return [
    new IdempotentLoad(history, 'idempotent-0', own(0)),
    new IdempotentLoad(history, 'idempotent-1', own(1)),
    new IdempotentLoad(history, 'idempotent-2', own(2)),
    new IdempotentLoad(history, 'idempotent-2b', own(2)),
    kafkajsLoad(history, 'kafkajs-2', target(2)),
    kafkajsLoad(history, 'kafkajs-3', target(3)),
    platformaticLoad(history, 'platformatic-3', target(3)),
    new MqttLoad(history, 'mqtt-1', { topic: 'crash/one', port: () => mqtt, random }),
    new MqttLoad(history, 'mqtt-2', { topic: 'crash/two', port: () => mqtt, random }),
    mqttjsLoad(history, 'mqttjs-1', { topic: 'crash/three', port: mqtt }),
  ];
}

async function createTopic(port: number): Promise<void> {
  const wire = await KafkaWire.open(port);
  const error = await wire.createTopic(topics.kafka.name, topics.kafka.shards);
  wire.close();
  if (error !== 0) throw new Error(`creating the topic: error ${error}`);
}

/** Rejects when a load does; never resolves. */
function failed(running: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    running.catch(reject);
  });
}

function describe(loads: readonly Load[]): string {
  const lines = loads.map(({ name, resent, errors }) => {
    const again = resent === undefined ? '' : `sent again ${resent}, `;
    return `${name}: ${again}errors ${JSON.stringify(Object.fromEntries(errors))}`;
  });
  return lines.join('\n');
}

function median(values: readonly number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0);
}

function elapsedSeconds(): number {
  return Math.round((performance.now() - began) / 100) / 10;
}

async function report(): Promise<void> {
  const { violations } = history;
  const clean = failure === undefined && violations.length === 0;
  for (const { anomaly, detail } of violations) console.error(`${anomaly}: ${detail}`);
  if (failure !== undefined) console.error(failure);
  const found: Record<string, number> = {};
  for (const { anomaly } of violations) found[anomaly] = (found[anomaly] ?? 0) + 1;
  const times = { seconds: elapsedSeconds(), medianStartMs: median(startMs), medianCheckMs: median(checkMs) };
  console.log(JSON.stringify({ seed, rounds, killedInStart, ...history.counts, ...times, found, clean }));
  if (clean) await rm(data, { recursive: true });
  else console.error(`The data directory stays: ${data}\nThe server's last words:\n${server.log}`);
  // client libraries may still be looking for the server
  process.exit(clean ? 0 : 1);
}
