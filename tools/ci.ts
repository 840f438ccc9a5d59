// Runs every suite with a limit of time each and adds up what passed and failed. A suite that can't say counts as one.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

interface Suite {
  readonly name: string;
  readonly command: readonly string[];
  readonly minutes: number;
  readonly env?: Readonly<Record<string, string>>;
  /** It runs beside those that follow, which wait for servers for much of their time; one of these at a time. */
  readonly beside?: true;
  /** How its tests are counted: by vitest's report, by the numbers in lines of its output, or as one. */
  readonly counted: 'vitest' | 'lines' | 'once';
}

interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly note: string;
}

interface Count extends Tally {
  /** The end of what it printed. */
  readonly last: string;
}

/** Of a suite that failed, once more at the end: a log is often kept from there only. */
const LAST_LINES = 60;

const npm = (script: string, ...words: string[]): string[] => ['npm', 'run', '--silent', script, '--', ...words];

const SUITES: readonly Suite[] = [
  { name: 'test', command: ['npm', 'test', '--'], minutes: 12, counted: 'vitest' },
  { name: 'suite', command: npm('test:suite'), minutes: 14, counted: 'vitest' },
  // those drawn by the check meant for each, some against all quick ones; all against all by hand
  {
    name: 'mutants',
    command: npm('mutants', '--quick', '--some', '50', '--sample', '4'),
    minutes: 12,
    counted: 'once',
  },
  { name: 'examples', command: npm('test:examples'), minutes: 10, counted: 'vitest' },
  { name: 'interop', command: npm('test:interop'), minutes: 10, counted: 'vitest' },
  { name: 'root', command: npm('test:root'), minutes: 4, counted: 'vitest' },
  { name: 'fsync', command: npm('test:fsync'), minutes: 3, counted: 'vitest' },
  { name: 's3 model', command: npm('model:s3', '--seeds', '10000', '--seconds', '15'), minutes: 3, counted: 'once' },
  {
    name: 'hdfs model',
    command: npm('model:hdfs', '--seeds', '10000', '--seconds', '10'),
    minutes: 3,
    counted: 'once',
  },
  { name: 's3 mutants', command: npm('mutants:s3'), minutes: 6, counted: 'once' },
  { name: 'conformance', command: npm('conformance'), minutes: 10, counted: 'lines', beside: true },
  {
    name: 'crash',
    command: npm('crash', '--rounds', '200', '--seconds', '45'),
    minutes: 4,
    counted: 'once',
    beside: true,
  },
  {
    name: 'crash with engine changes',
    command: npm('crash', '--rounds', '200', '--seconds', '40', '--alter'),
    minutes: 4,
    counted: 'once',
    beside: true,
  },
  { name: 'packed', command: npm('test:pack'), minutes: 25, counted: 'lines', beside: true },
  {
    name: 'native',
    // the containers' suite asks the servers themselves the same; here the other files kill and pause them all the time
    command: npm('test:native', '--exclude', 'test/native/hdfs-server-contract.test.ts'),
    minutes: 35,
    counted: 'vitest',
    env: { ROBUST_CONFORMANCE_QUICK: 'again' },
  },
  {
    name: 'containers',
    command: npm('test:containers'),
    minutes: 20,
    counted: 'vitest',
    // the same engines ran all checks over the same servers as processes just before
    env: { ROBUST_CONFORMANCE_QUICK: 'all' },
  },
  { name: 'matrix', command: npm('matrix', '--seconds', '45'), minutes: 5, counted: 'once' },
];

/** How a script ends that says what is missing here and can not be brought, such as a Docker engine. */
const UNAVAILABLE = 69;

/**
 * What later suites bring by themselves, begun at once and with what the first ones leave of the machine: building a server takes minutes. One that fails here fails again
 * where it is needed, and is told there.
 */
const PREPARATIONS: readonly string[] = [
  'tools/install-interop.sh',
  'tools/install-s3-servers.sh',
  'tools/install-hdfs.sh',
  'tools/install-kerberos.sh',
];
/** So long suites that need none of it go on. */
const FIRST_PREPARED = 'interop';

const only = process.argv.slice(2);
const reports = mkdtempSync(join(tmpdir(), 'robust-ci-'));
const counts: [string, Count][] = [];
const prepared = only.length === 0 ? prepare() : Promise.resolve();
let isFirst = true;
let beside = Promise.resolve();
for (const suite of SUITES.filter(({ name }) => only.length === 0 || only.includes(name))) {
  if (suite.name === FIRST_PREPARED) isFirst = false;
  if (!isFirst) await prepared;
  if (suite.beside === true) beside = beside.then(() => tell(suite));
  else await tell(suite);
}
await beside;
rmSync(reports, { recursive: true });

const passed = counts.reduce((sum, [, count]) => sum + count.passed, 0);
const failed = counts.reduce((sum, [, count]) => sum + count.failed, 0);
for (const [name, count] of counts.filter(([, count]) => count.failed > 0))
  console.log(`\n=== what ${name} printed last\n${count.last.trimEnd().split('\n').slice(-LAST_LINES).join('\n')}`);
console.log('');
for (const [name, count] of counts)
  console.log(`${name.padEnd(28)} ${count.passed} ok, ${count.failed} not ok${count.note}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

async function prepare(): Promise<void> {
  for (const script of PREPARATIONS) {
    const child = spawn('nice', ['-n', '19', script], { stdio: ['ignore', 'ignore', 'ignore'] });
    const code = await new Promise<number>((resolve) => {
      child.on('close', (status) => resolve(status ?? 1));
      child.on('error', () => resolve(1));
    });
    console.log(`=== prepared: ${script}${code === 0 ? '' : ', which failed'}`);
  }
}

async function tell(suite: Suite): Promise<void> {
  const title = `\n=== ${suite.name}: ${suite.command.join(' ')}`;
  console.log(suite.beside === true ? `${title} (what it prints comes when it has ended)` : title);
  const began = performance.now();
  const count = await run(suite);
  const seconds = Math.round((performance.now() - began) / 1000);
  if (suite.beside === true) console.log(`${title}\n${count.last}`);
  console.log(`=== ${suite.name}: ${count.passed} ok, ${count.failed} not ok, ${seconds} s${count.note}`);
  counts.push([suite.name, count]);
}

async function run(suite: Suite): Promise<Count> {
  const report = join(reports, `${suite.name}.json`);
  const reporting =
    suite.counted === 'vitest' ? ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`] : [];
  const [command = '', ...words] = [...suite.command, ...reporting];
  const child = spawn(command, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, ...suite.env },
  });
  let last = '';
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const)
    from.setEncoding('utf8').on('data', (text: string) => {
      if (suite.beside !== true) to.write(text);
      last = (last + text).slice(-65_536);
    });
  let late = false;
  const limit = new AbortController();
  const timer = sleep(suite.minutes * 60_000, undefined, { signal: limit.signal }).then(
    () => {
      late = true;
      // the whole group: npm, vitest, servers
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    },
    () => {},
  );
  const code = await new Promise<number>((resolve) => {
    child.on('close', (status) => resolve(status ?? 1));
    child.on('error', () => resolve(1));
  });
  limit.abort();
  await timer;
  if (code === UNAVAILABLE && !late)
    return { passed: 0, failed: 0, note: ', NOT RUN: it needs what this machine can not have (above)', last };
  const note = late ? `, stopped after ${suite.minutes} minutes` : '';
  return { ...counted(), last };

  function counted(): Tally {
    if (suite.counted === 'vitest') return fromReport(report, code, note, suite.name !== 'test');
    return suite.counted === 'lines' ? fromLines(last, code, note) : asOne(code, note);
  }
}

function asOne(code: number, note: string): Tally {
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, note };
}

/** A row of a scorecard, and of what else counts itself, says `passed 93 (...) failed 0`. */
function fromLines(text: string, code: number, note: string): Tally {
  const rows = [...text.matchAll(/\bpassed (\d+)\b.*\bfailed (\d+)\b/g)];
  const passed = rows.reduce((sum, row) => sum + Number(row[1]), 0);
  const failed = rows.reduce((sum, row) => sum + Number(row[2]), 0);
  if (rows.length === 0) return asOne(code, note);
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, note };
}

/** Skipped tests count as failed where everything that they need has been installed; in `npm test`, which needs nothing, they are told. */
function fromReport(file: string, code: number, note: string, skipsFail: boolean): Tally {
  try {
    // vitest's JSON reporter
    const report = JSON.parse(readFileSync(file, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
      numPendingTests: number;
    };
    const skipped = report.numPendingTests;
    const failed = report.numFailedTests + (skipsFail ? skipped : 0);
    // a file that did not load has no tests that failed
    const silent = failed === 0 && code !== 0 ? 1 : 0;
    return {
      passed: report.numPassedTests,
      failed: failed + silent,
      note: skipped > 0 ? `${note}, ${skipped} skipped` : note,
    };
  } catch {
    return { passed: 0, failed: 1, note: `${note}, no report` };
  }
}
