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
  /** Its last command is vitest: tests are counted one by one. */
  readonly vitest: boolean;
}

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly note: string;
}

const npm = (script: string, ...words: string[]): string[] => ['npm', 'run', '--silent', script, '--', ...words];

const SUITES: readonly Suite[] = [
  { name: 'test', command: ['npm', 'test', '--'], minutes: 6, vitest: true },
  { name: 'interop', command: npm('test:interop'), minutes: 10, vitest: true },
  { name: 'root', command: npm('test:root'), minutes: 4, vitest: true },
  { name: 'fsync', command: npm('test:fsync'), minutes: 3, vitest: true },
  { name: 'conformance', command: npm('conformance'), minutes: 4, vitest: false },
  { name: 'crash', command: npm('crash', '--rounds', '200', '--seconds', '90'), minutes: 4, vitest: false },
  {
    name: 'crash with engine changes',
    command: npm('crash', '--rounds', '200', '--seconds', '60', '--alter'),
    minutes: 4,
    vitest: false,
  },
  { name: 'packed', command: npm('test:pack'), minutes: 4, vitest: false },
];

const only = process.argv.slice(2);
const reports = mkdtempSync(join(tmpdir(), 'robust-ci-'));
const counts: [string, Count][] = [];
for (const suite of SUITES.filter(({ name }) => only.length === 0 || only.includes(name))) {
  console.log(`\n=== ${suite.name}: ${suite.command.join(' ')}`);
  const began = performance.now();
  const count = await run(suite);
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`=== ${suite.name}: ${count.passed} ok, ${count.failed} not ok, ${seconds} s${count.note}`);
  counts.push([suite.name, count]);
}
rmSync(reports, { recursive: true });

const passed = counts.reduce((sum, [, count]) => sum + count.passed, 0);
const failed = counts.reduce((sum, [, count]) => sum + count.failed, 0);
console.log('');
for (const [name, count] of counts)
  console.log(`${name.padEnd(28)} ${count.passed} ok, ${count.failed} not ok${count.note}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

async function run(suite: Suite): Promise<Count> {
  const report = join(reports, `${suite.name}.json`);
  const reporting = suite.vitest ? ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`] : [];
  const [command = '', ...words] = [...suite.command, ...reporting];
  const child = spawn(command, words, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
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
    child.on('exit', (status) => resolve(status ?? 1));
    child.on('error', () => resolve(1));
  });
  limit.abort();
  await timer;
  const note = late ? `, stopped after ${suite.minutes} minutes` : '';
  return suite.vitest
    ? fromReport(report, code, note)
    : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, note };
}

/** Skipped tests count as failed: on this machine everything that a test needs is there. */
function fromReport(file: string, code: number, note: string): Count {
  try {
    // vitest's JSON reporter
    const report = JSON.parse(readFileSync(file, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
      numPendingTests: number;
    };
    const skipped = report.numPendingTests;
    const failed = report.numFailedTests + skipped;
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
