// Runs the conformance suite over engines and wrappers with one thing wrong, each in a process of its own: `npm run mutants`.
//   --only NAME   those with NAME in their name or file
//   --quick       without the checks that take long, but the one that is meant
//   --meant       the check meant for each, alone
//   --some N      only N of them, drawn by --seed (which is printed)
//   --sample N    for all but N of them, drawn by --seed, too, the check meant for each alone
//   --search      also the checks that search by chance
//   --seeds N     then the sound engines, with N seeds: none may fail
//   --jobs N      processes at once; 2 by default
//   --docs        writes docs/mutants.md instead
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SeededRandom } from '@robustmq/core/testing';
import { allMutants, type FoundMutant } from '../conformance/mutants/all.ts';
import { describeMutants } from '../conformance/mutants/describe.ts';
import type { Scope, Verdict } from '../conformance/mutants/run.ts';
import { SOUND } from '../conformance/mutants/sound.ts';

const LIMIT_MS = 600_000;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    meant: { type: 'boolean', default: false },
    some: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    search: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '0' },
    jobs: { type: 'string', default: '2' },
    docs: { type: 'boolean', default: false },
  },
});
const mutants = await allMutants();
if (values.docs) await writeFile(new URL('../docs/mutants.md', import.meta.url), describeMutants(mutants));
else process.exitCode = (await runAll()) ? 0 : 1;

async function runAll(): Promise<boolean> {
  const named = mutants.filter(({ name, file }) => `${file} ${name}`.includes(values.only));
  if (named.length === 0) throw new Error(`no mutant is called ${values.only}`);
  const random = new SeededRandom(Number(values.seed));
  if (values.some !== undefined || values.sample !== undefined) console.log(`seed ${values.seed}`);
  const asked = values.some === undefined ? named : shuffled(named, random).slice(0, Number(values.some));
  const scope = values.meant ? 'meant' : values.quick ? 'quick' : values.search ? 'search' : 'whole';
  const drawn = new Set(values.sample === undefined ? asked : shuffled(asked, random).slice(0, Number(values.sample)));
  let [caught, asDeclared] = [0, 0];
  await eachOf(asked, async (mutant) => {
    const verdict = await inProcess(mutant.file, drawn.has(mutant) ? scope : 'meant', 1);
    if (verdict.caught) caught++;
    if (isAsDeclared(verdict)) asDeclared++;
    console.log(row(mutant, verdict));
  });
  console.log(`caught ${caught}/${asked.length}`);
  if (asDeclared < asked.length) console.log(`${asked.length - asDeclared} not as declared`);
  const alarms = await falseAlarms(Number(values.seeds), scope);
  return caught === asked.length && asDeclared === asked.length && alarms === 0;
}

function shuffled(given: readonly FoundMutant[], random: SeededRandom): FoundMutant[] {
  const order = given.map((mutant) => ({ mutant, at: random.next() })).toSorted((a, b) => a.at - b.at);
  return order.map(({ mutant }) => mutant);
}

function isAsDeclared({ caught, surprises, missed }: Verdict): boolean {
  return caught && surprises.length === 0 && missed.length === 0;
}

function row({ name, incident, caughtBy }: FoundMutant, verdict: Verdict): string {
  const { caught, surprises, missed, found, passed, seconds, message } = verdict;
  const parts = [
    isAsDeclared(verdict) ? 'ok' : '!!',
    `${caughtBy} ${caught ? 'caught' : 'MISSED'}`,
    `passed ${String(passed).padStart(3)}`,
    `${seconds.toFixed(1).padStart(5)} s`,
    name,
    `(${incident})`,
    ...(surprises.length > 0 ? [`UNEXPECTED ${surprises.join(' ')}`] : []),
    ...(missed.length > 0 ? [`NOT FAILED ${missed.join(' ')}`] : []),
    ...(found.length > 0 ? [`also found by ${found.join(' ')}`] : []),
    ...(caught || message === '' ? [] : [message]),
  ];
  return parts.join('  ');
}

async function falseAlarms(seeds: number, scope: Scope): Promise<number> {
  if (seeds === 0) return 0;
  let alarms = 0;
  const sound = Object.keys(SOUND);
  const runs = Array.from({ length: seeds }, (_, i) => sound.map((name) => ({ name, seed: i + 1 }))).flat();
  await eachOf(runs, async ({ name, seed }) => {
    const { surprises, message, passed, seconds } = await inProcess(name, scope, seed);
    alarms += surprises.length;
    const found = surprises.length === 0 ? 'no alarm' : `FALSE ALARM ${surprises.join(' ')}\n${message}`;
    console.log(`${name}  seed ${seed}  passed ${passed}  ${seconds.toFixed(1)} s  ${found}`);
  });
  console.log(`false alarms ${alarms} in ${runs.length} runs of ${sound.length} sound engines with ${seeds} seeds`);
  return alarms;
}

async function eachOf<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const lane = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await run(one);
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, lane));
}

/** A mutant may hang, crash or keep what it likes: its process ends with it. */
function inProcess(file: string, scope: Scope, seed: number): Promise<Verdict> {
  const program = fileURLToPath(new URL('../conformance/mutants/run-one.ts', import.meta.url));
  return new Promise((resolve) => {
    const options = { timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 } as const;
    execFile(process.execPath, [program, file, scope, String(seed)], options, (error, stdout, stderr) => {
      const nothing = { file, caught: false, surprises: ['its process'], missed: [], found: [], passed: 0, seconds: 0 };
      if (error !== null || stdout === '')
        resolve({ ...nothing, message: `${error?.message} ${stderr}`.slice(0, 2000) });
      else resolve(JSON.parse(stdout) as Verdict); // as run-one prints it
    });
  });
}
