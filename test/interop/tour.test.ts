import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Clients, eventually } from '../clients.ts';
import { ServerProcess } from '../crash/server-process.ts';

/** The five-minute tour of README.md, step by step, with the clients that it names. */
test('publish with MQTT, read with Kafka, move the topic while both run, kill -9, and nothing acknowledged is gone', async () => {
  const data = await mkdtemp(join(tmpdir(), 'robust-tour-'));
  const sets = ['engines.second.use=local-file'];
  let server = new ServerProcess({ data, sets });
  try {
    await server.ready();
    const { ports } = server;
    const clients = new Clients(ports);

    // 1. one record in by MQTT, out by Kafka
    await clients.mosquittoPub('sensors/kitchen', '-m', '21.5');
    expect(await clients.kcatAll('mqtt', '%o %k %s\n')).toEqual(['0 sensors/kitchen 21.5']);

    // 2. the topic moves to another engine while a publisher and a reader run
    const reader = clients.kcatFollow('mqtt', '%o %s\n');
    const publisher = clients.mosquittoLines('sensors/cellar');
    const published = new Promise((resolve) => publisher.on('exit', resolve));
    let sent = 0;
    const send = (count: number): void => {
      for (let i = 0; i < count; i++) publisher.stdin?.write(`line-${sent++}\n`);
    };
    send(500);
    await eventually(
      () => reader.lines.length,
      (seen) => seen > 100,
    );
    await clients.robust('topic', 'alter', 'mqtt', '--engine', 'second');
    send(500);
    await eventually(
      () => reader.lines.length,
      (seen) => seen > 700,
    );
    await clients.robust('topic', 'alter', 'mqtt', '--engine', 'local');
    send(500);
    publisher.stdin?.end();
    expect(await published).toBe(0);
    const all = ['21.5', ...Array.from({ length: sent }, (_, i) => `line-${i}`)].map(
      (text, offset) => `${offset} ${text}`,
    );
    await eventually(
      () => reader.lines.length,
      (seen) => seen >= all.length,
    );
    await reader.stop();
    expect(reader.lines).toEqual(all);
    const described = JSON.parse(await clients.robust('topic', 'describe', 'mqtt', '--json'));
    const engines = described.shards[0].segments.map(({ instance }: { instance: string }) => instance);
    expect(new Set(engines)).toEqual(new Set(['local', 'second']));

    // 3. the process dies without a word, and comes back
    await server.kill();
    server = new ServerProcess({ data, ports, sets });
    await server.ready();
    expect(await clients.kcatAll('mqtt', '%o %s\n')).toEqual(all);

    // 4. and goes on where it was
    await clients.mosquittoPub('sensors/kitchen', '-m', 'after');
    expect((await clients.kcatAll('mqtt', '%o %s\n')).at(-1)).toBe(`${all.length} after`);
  } finally {
    await server.kill();
    await rm(data, { recursive: true });
  }
});

test('what kcat writes an MQTT subscriber reads', async () => {
  const data = await mkdtemp(join(tmpdir(), 'robust-tour-'));
  const server = new ServerProcess({ data });
  let subscriber: ChildProcess | undefined;
  try {
    await server.ready();
    const { ports } = server;
    const clients = new Clients(ports);
    await clients.robust('topic', 'create', 'orders');
    const words = [
      '-h',
      '127.0.0.1',
      '-p',
      String(ports.mqtt),
      '-t',
      '#',
      '-q',
      '1',
      '-C',
      '3',
      '-W',
      '60',
      '-v',
      '-d',
    ];
    subscriber = spawn('mosquitto_sub', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    subscriber.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    const ended = once(subscriber, 'close');
    const subscriptions = async (): Promise<string> => (await fetch(`${clients.admin}/metrics`)).text();
    await eventually(subscriptions, (text) => /^robust_subscriptions\S* 1$/m.test(text));
    await clients.kcatPublish('orders', ['a', 'b', 'c']);
    expect((await ended)[0]).toBe(0);
    expect(out.split('\n').filter((line) => line.startsWith('orders '))).toEqual(['orders a', 'orders b', 'orders c']);
  } finally {
    subscriber?.kill('SIGKILL');
    await server.kill();
    await rm(data, { recursive: true });
  }
});
