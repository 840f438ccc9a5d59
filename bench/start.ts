/**
 * `npm run bench:start [-- --starts 10]`: from the start of the process to the first connection a listener accepts, and to the ready line, on a
 * fresh data directory and on one with data; and the resident memory of the idle node.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Ports, ServerProcess } from '../test/crash/server-process.ts';
import { median } from './closed-loop.ts';
import { machineFacts } from './machine.ts';

const { values: flags } = parseArgs({
  options: { starts: { type: 'string', default: '10' }, idle: { type: 'string', default: '5' } },
});
const starts = Number(flags.starts);
const idleMs = Number(flags.idle) * 1000;

const directory = await mkdtemp(join(tmpdir(), 'robust-bench-'));
try {
  console.log(await machineFacts(directory));
  // fills the compile cache, as the first start after an installation does
  await start(join(directory, 'first'));
  const kept = join(directory, 'kept');
  await start(kept);
  const rows: [string, (round: number) => string][] = [
    ['fresh data directory', (round) => join(directory, `fresh-${round}`)],
    ['again on the same', () => kept],
  ];
  for (const [name, dataOf] of rows) {
    const results: Measured[] = [];
    for (let round = 0; round < starts; round++) results.push(await start(dataOf(round)));
    print(name, results);
  }
} finally {
  await rm(directory, { recursive: true });
}

interface Measured {
  readonly acceptedMs: number;
  readonly readyMs: number;
  readonly rssMiB: number;
}

async function start(data: string): Promise<Measured> {
  const [kafka = 0, mqtt = 0, admin = 0] = await freePorts(3);
  const ports: Ports = { kafka, mqtt, admin };
  const began = performance.now();
  const server = new ServerProcess({ data, ports });
  const ready = server.ready().then(() => performance.now() - began);
  const acceptedMs = await Promise.race([firstAccepted(kafka), ready.then(() => firstAccepted(kafka))]).then(
    () => performance.now() - began,
  );
  const readyMs = await ready;
  await sleep(idleMs);
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  const rssMiB = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
  await server.stop();
  return { acceptedMs, readyMs, rssMiB };
}

async function firstAccepted(port: number): Promise<void> {
  while (!(await accepts(port))) await sleep(2);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.on('connect', () => answer(true));
    socket.on('error', () => answer(false));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function print(name: string, results: readonly Measured[]): void {
  const show = (pick: (one: Measured) => number, unit: string) => {
    const values = results.map(pick);
    return `${median(values).toFixed(0)} ${unit} (at most ${Math.max(...values).toFixed(0)})`;
  };
  console.log(`${name}, ${results.length} starts, medians:
  first accepted connection  ${show((one) => one.acceptedMs, 'ms')}
  ready line                 ${show((one) => one.readyMs, 'ms')}
  resident when idle         ${show((one) => one.rssMiB, 'MiB')}`);
}
