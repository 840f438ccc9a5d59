// Runs the conformance suite over the engines of this repository and prints one row each: `npm run conformance`.
//   --docs          writes docs/conformance.md instead
//   --engine NAME   only this one
//   --only ID,ID    only these checks
//   --seed N        of the random parts
// For one engine at a time, with everything it has to say: conformance/bin/robust-conformance.js
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  defaultJobs,
  describePromises,
  formatFailure,
  formatScorecard,
  judge,
  loadSubject,
  prove,
} from '@robustmq/conformance';
import { unshownFaults } from './shown-faults.ts';

const ROOT = join(import.meta.dirname, '..');

const { values } = parseArgs({
  options: {
    docs: { type: 'boolean', default: false },
    engine: { type: 'string' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});

/** Proven against real servers. */
const NEEDS_SERVERS: readonly string[] = ['s3', 'hdfs'];
/** What engines share is none. */
const SHARED = 'objects';

/** By name: what the house ships, what a new author starts from, and what was written by others from the guide alone. */
function engines(): ReadonlyMap<string, string> {
  const own = readdirSync(join(ROOT, 'engines'))
    .filter((name) => name !== SHARED && !NEEDS_SERVERS.includes(name))
    .map((name) => [name, `./engines/${name}`] as const);
  const examples = (
    existsSync(join(ROOT, 'examples')) ? readdirSync(join(ROOT, 'examples'), { withFileTypes: true }) : []
  )
    .filter((entry) => entry.isDirectory() && entry.name.startsWith('robust-engine-'))
    .map(({ name }) => [name.slice('robust-engine-'.length), `./examples/${name}`] as const);
  return new Map([...own, ['template', './create-robust-engine/template/src/index.ts'], ...examples]);
}

if (values.docs) await writeFile(join(ROOT, 'docs/conformance.md'), describePromises());
else {
  const chosen = [...engines()].filter(([name]) => values.engine === undefined || values.engine === name);
  if (chosen.length === 0) throw new Error(`no engine ${values.engine}: there is ${[...engines().keys()].join(', ')}`);
  let broken = false;
  for (const [name, path] of chosen) {
    const subject = await loadSubject(path, { cwd: ROOT });
    const only = values.only?.split(',');
    const proof = await prove(subject, { seed: Number(values.seed), only, processes: defaultJobs() });
    const verdict = judge(proof);
    for (const failure of verdict.failures) console.error(`${formatFailure(failure)}\n`);
    const counted = verdict.facts.map(([what, count]) => `${what} ${count}`).join(', ');
    console.log(`${formatScorecard(name, proof.cards, proof.seconds)}${counted === '' ? '' : `   ${counted}`}`);
    const unshown = unshownFaults(name, proof);
    for (const line of unshown) console.error(line);
    broken ||= unshown.length > 0 || verdict.failures.some(({ level }) => level === 'MUST');
  }
  if (values.engine === undefined)
    console.log(
      `${NEEDS_SERVERS.join(', ')}: against real servers, by npm run test:native and npm run test:containers`,
    );
  process.exitCode = broken ? 1 : 0;
}
