import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Kafka, logLevel } from 'kafkajs';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { findBrokenPromises } from './trace.ts';

const BIN = join(import.meta.dirname, '../../bin/robust-server');
const CALLS = 'openat,read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg';
const RECORDS = 20;

interface Traced {
  readonly ports: Readonly<Record<string, number>>;
  /** Stops the node and gives the trace. */
  stop(): Promise<string[]>;
}

async function startTraced(folder: string): Promise<Traced> {
  const file = join(folder, 'trace');
  const sets = ['admin.port=0', 'brokers.mqtt.port=0', 'brokers.kafka.port=0'].flatMap((set) => ['--set', set]);
  const words = ['-f', '-xx', '-s', '1024', '-e', `trace=${CALLS}`, '-o', file, BIN, 'start', '--json', ...sets];
  const child: ChildProcess = spawn('strace', words, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  if (child.stdout === null) throw new Error('no stdout');
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text)),
    exited.then(([code]) => Promise.reject(new Error(`strace ended with ${code}`))),
  ]);
  // the start-up message
  const { pid, listeners } = JSON.parse(line) as { pid: number; listeners: { protocol: string; port: number }[] };
  return {
    ports: Object.fromEntries(listeners.map(({ protocol, port }) => [protocol, port])),
    stop: async () => {
      process.kill(pid, 'SIGTERM');
      await exited;
      return (await readFile(file, 'latin1')).split('\n');
    },
  };
}

const markers = (name: string): string[] =>
  Array.from({ length: RECORDS }, (_, i) => `<${name}-${String(i).padStart(3, '0')}>`);

test('the write of a record with O_DSYNC has returned before its PUBACK and its Produce reply are sent', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'robust-fsync-'));
  try {
    const node = await startTraced(folder);
    const viaMqtt = markers('mqtt-record');
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${node.ports.mqtt}`);
    for (const marker of viaMqtt) await mqtt.publishAsync('a/b', marker, { qos: 1 });
    await mqtt.endAsync();

    const viaKafka = markers('kafka-record');
    const kafka = new Kafka({ brokers: [`127.0.0.1:${node.ports.kafka}`], logLevel: logLevel.ERROR });
    const producer = kafka.producer();
    await producer.connect();
    for (const value of viaKafka) await producer.send({ topic: 'witnessed', acks: -1, messages: [{ value }] });
    await producer.disconnect();

    const trace = await node.stop();
    expect(findBrokenPromises(trace, [...viaMqtt, ...viaKafka])).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the witness sees a reply that comes too early, a write without O_DSYNC and a write that failed', () => {
  const hex = (text: string): string => [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16)}`).join('');
  const open = (flags: string): string => `7 openat(AT_FDCWD, "\\x61", O_RDWR|${flags}) = 9`;
  const read = `7 read(5, "${hex('<m>')}", 65536) = 3`;
  const begin = `8 pwritev(9, [{iov_base="${hex('<m>')}", iov_len=3}], 1, 0 <unfinished ...>`;
  const end = '8 <... pwritev resumed>) = 3';
  const reply = '7 write(5, "\\x40\\x02\\x00\\x01", 4) = 4';
  const problems = (...lines: string[]): string[] => findBrokenPromises(lines, ['<m>']);
  expect(problems(open('O_DSYNC'), read, begin, end, reply)).toEqual([]);
  expect(problems(open('O_DSYNC'), read, begin, reply, end)).toEqual([expect.stringContaining('began before')]);
  expect(problems(open('O_CREAT'), read, begin, end, reply)).toEqual([
    expect.stringContaining('no write with O_DSYNC'),
  ]);
  expect(problems(open('O_DSYNC'), read, begin, '8 <... pwritev resumed>) = -1 EIO', reply)).toEqual([
    expect.stringContaining('no write with O_DSYNC'),
  ]);
  expect(problems(open('O_DSYNC'), begin, end, reply)).toEqual([expect.stringContaining('not in the trace')]);
  expect(problems(open('O_DSYNC'), read, begin, end)).toEqual([expect.stringContaining('no reply')]);
});
