/**
 * `npm run matrix [-- --engines a,b --pair a:b,b:c --seed S --seconds N]`: topics move live between every two engines of the family, each way, while
 * Kafka and MQTT clients write and read them. The real node is killed with -9 in the middle of each move. Then everything that was acknowledged is
 * held against what is there: 0 lost, 0 repeated, 0 renumbered.
 *
 * With `--seconds` pairs are drawn by the seed until the time is over. Prints a row for each pair and ends with one line of JSON; exit code 1
 * when anything was wrong. The data of a group that failed stays.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Random } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import { dataFollows, FAMILY, type Pair, pairsOf, Stores } from './family.ts';
import { Group } from './group.ts';
import { HEAD, isClean, line, type Row } from './row.ts';

/** Pairs that share a node. */
const GROUP_SIZE = 6;

const { values: flags } = parseArgs({
  options: {
    engines: { type: 'string', default: FAMILY.map(({ name }) => name).join(',') },
    pair: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    seconds: { type: 'string', default: 'Infinity' },
  },
});
const seed = Number(flags.seed);
const began = performance.now();
const all = choosePairs();
const groups = groupsOf(all, new SeededRandom(seed));
const dir = await mkdtemp(join(tmpdir(), 'robust-matrix-'));
const stores = new Stores();
const rows: Row[] = [];
let current: Group | undefined;
let isGivenUp = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, giveUp);
let failures = 0;
console.log(`seed ${seed}, data in ${dir}\n${HEAD}`);
for (const [index, pairs] of groups.entries()) {
  if (isGivenUp || (index > 0 && elapsedSeconds() > Number(flags.seconds))) break;
  await runGroup(pairs, index);
}
await stores.stop();
const isWhole = rows.length > 0 && (flags.seconds !== 'Infinity' || rows.length === all.length);
const clean = failures === 0 && isWhole && rows.every(isClean);
report();
if (clean) await rm(dir, { recursive: true });
process.exit(clean ? 0 : 1);

async function runGroup(pairs: readonly Pair[], index: number): Promise<void> {
  const place = `matrix-${index + 1}`;
  const own = join(dir, place);
  await mkdir(own);
  const random = new SeededRandom(seed + index);
  const group = new Group({ pairs, place, dir: own, stores, random });
  current = group;
  try {
    const found = await group.run();
    rows.push(...found);
    for (const row of found) {
      console.log(line(row, seed));
      for (const detail of row.details) console.error(`  ${detail}`);
    }
    if (found.every(isClean)) await rm(own, { recursive: true });
    else console.error(`Its data stays: ${own}`);
  } catch (error) {
    failures++;
    const names = pairs.map(({ from, to }) => `${from.name}:${to.name}`).join(', ');
    console.error(`${names} with seed ${seed}:`, error);
    console.error(`Its data stays: ${own}\nThe server's last words:\n${group.log}`);
  }
}

/** Leaves no process behind; the data stays. */
function giveUp(signal: NodeJS.Signals): void {
  isGivenUp = true;
  console.error(`${signal}: given up`);
  const end = () => process.exit(1);
  Promise.all([current?.kill(), stores.stop()]).then(end, end);
}

function choosePairs(): Pair[] {
  const names = flags.engines.split(',');
  const members = names.map((name) => FAMILY.find((member) => member.name === name) ?? unknown(name));
  const pairs = pairsOf(members);
  if (flags.pair === undefined) return pairs;
  return flags.pair
    .split(',')
    .map((name) => pairs.find(({ from, to }) => `${from.name}:${to.name}` === name) ?? unknown(name));
}

function unknown(name: string): never {
  console.error(
    `There is no ${name}. The engines are: ${FAMILY.map((member) => member.name).join(', ')}; a pair is a:b.`,
  );
  process.exit(2);
}

/** In an order that chance gives; each of one kind. */
function groupsOf(pairs: readonly Pair[], random: Random): Pair[][] {
  const mixed = shuffled(pairs, random);
  const kinds = [mixed.filter(dataFollows), mixed.filter((pair) => !dataFollows(pair))];
  const parts = kinds.flatMap((kind) => {
    const count = Math.ceil(kind.length / GROUP_SIZE);
    return Array.from({ length: count }, (_, i) => kind.filter((_pair, at) => at % count === i));
  });
  return shuffled(parts, random);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

function elapsedSeconds(): number {
  return Math.round((performance.now() - began) / 100) / 10;
}

function report(): void {
  const sum = (read: (row: Row) => number) => rows.reduce((total, row) => total + read(row), 0);
  console.log(
    JSON.stringify({
      seed,
      pairs: rows.length,
      of: all.length,
      inTheMiddle: rows.filter(({ wasInTheMiddle }) => wasInTheMiddle).length,
      segments: sum(({ segments }) => segments),
      bytes: sum(({ bytes }) => bytes),
      acknowledged: sum(({ acknowledged }) => acknowledged),
      lost: sum(({ lost }) => lost),
      repeated: sum(({ repeated }) => repeated),
      renumbered: sum(({ renumbered }) => renumbered),
      other: sum(({ other }) => other),
      lostWithProcess: sum(({ lostWithProcess }) => lostWithProcess),
      groupsFailed: failures,
      seconds: elapsedSeconds(),
      clean,
    }),
  );
}
