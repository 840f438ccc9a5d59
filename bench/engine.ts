/**
 * `npm run bench:engine -- <module> [<module>...] [--seconds 0.3] [--repeat 3] [--segments 100] [--in-flight 1,64,256] [--dir /tmp] [--svg FILE]`:
 * engines on the same work, by turns in one run, beside the disk alone; a table and a chart. A module is a package, a path, or the name of an engine of
 * this repository, with `=settings.yaml` behind it for settings.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadSubject, type Subject } from '@robustmq/conformance';
import { median } from './closed-loop.ts';
import { chartOf, type Row, ratioOf, shown, shownRatio } from './engine-chart.ts';
import { kindsOfWork, RawDisks, type Work } from './engine-work.ts';
import { machineFacts } from './machine.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '0.3' },
    repeat: { type: 'string', default: '3' },
    segments: { type: 'string', default: '100' },
    'in-flight': { type: 'string', default: '1,64,256' },
    dir: { type: 'string', default: tmpdir() },
    svg: { type: 'string', default: 'bench-engine.svg' },
  },
});
if (positionals.length === 0) throw new Error('which engines? npm run bench:engine -- memory local-file ./mine.ts');

// npm runs scripts in the repository's folder, and says where it was called
const cwd = process.env.INIT_CWD ?? process.cwd();
const subjects = await Promise.all(positionals.map(load));
const directory = await mkdtemp(join(flags.dir, 'robust-bench-'));
process.env.TMPDIR = directory;
const disks = new RawDisks(directory);
// an engine may wait for nothing but a timer, and timers of the system clock keep no process alive
const awake = setInterval(() => {}, 60_000);
try {
  const facts = await machineFacts(directory);
  const repeat = Number(flags.repeat);
  const names = subjects.map(({ definition }) => definition.name);
  console.log(
    `${facts}\n\n${repeat} rounds each, by turns, in an order that turns round; medians; (x) is how many times better than the disk alone\n`,
  );
  console.log(
    `${'work'.padEnd(52)} ${'the disk alone'.padStart(22)} ${names.map((name) => name.padStart(30)).join(' ')}`,
  );
  const rows: Row[] = [];
  const options = {
    seconds: Number(flags.seconds),
    segments: Number(flags.segments),
    inFlight: flags['in-flight'].split(',').map(Number),
  };
  for (const work of kindsOfWork(disks, options)) {
    const row = await measure(work, repeat);
    rows.push(row);
    console.log(line(row));
  }
  const svg = resolve(cwd, flags.svg);
  await writeFile(svg, chartOf(names, rows, facts));
  console.log(`\nchart: ${svg}`);
} finally {
  clearInterval(awake);
  disks.close();
  await rm(directory, { recursive: true });
}

function load(text: string): Promise<Subject> {
  const [module = '', config] = text.split('=');
  const own = resolve(import.meta.dirname, '../engines', module);
  return loadSubject(/^[a-z0-9-]+$/.test(module) && existsSync(own) ? own : module, { cwd, config });
}

async function measure(work: Work, repeat: number): Promise<Row> {
  const raws: number[] = [];
  const engines = subjects.map((): number[] => []);
  for (let round = 0; round < repeat; round++) {
    const turns = [
      async (dir: string) => void raws.push(await work.raw(dir)),
      ...subjects.map((subject, i) => async (dir: string) => {
        const value = await work.engine(subject, dir);
        if (value !== undefined) engines[i]?.push(value);
      }),
    ];
    // what one leaves behind falls on each of the others as often
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      const dir = join(directory, 'round');
      await mkdir(dir);
      await turn(dir);
      await rm(dir, { recursive: true });
    }
  }
  const values = engines.map((all) => (all.length === 0 ? undefined : median(all)));
  return { name: work.name, unit: work.unit, raw: median(raws), engines: values };
}

function line(row: Row): string {
  const cells = row.engines.map((value) =>
    (value === undefined ? 'n/a' : `${shown(value)} ${row.unit} (${shownRatio(ratioOf(row, value))})`).padStart(30),
  );
  return `${row.name.padEnd(52)} ${`${shown(row.raw)} ${row.unit}`.padStart(22)} ${cells.join(' ')}`;
}
