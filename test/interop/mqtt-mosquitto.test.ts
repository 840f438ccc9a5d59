import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerProcess } from '../crash/server-process.ts';

const run = promisify(execFile);

/** Mosquitto's clients against a node, in each version of the protocol. */
describe('mosquitto clients', () => {
  let data: string;
  let server: ServerProcess;

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'robust-mosquitto-'));
    server = new ServerProcess({ data });
    await server.ready();
  });

  afterAll(async () => {
    await server.kill();
    await rm(data, { recursive: true });
  });

  const at = (): string[] => ['-h', '127.0.0.1', '-p', String(server.ports.mqtt)];

  async function publish(...words: string[]): Promise<{ stdout: string; stderr: string }> {
    return run('mosquitto_pub', [...at(), ...words], { timeout: 30_000 });
  }

  /** mosquitto_sub (with its output by the line, which it keeps back on a pipe), once it has its SUBACK; `lines` resolves with what it printed when it has ended by itself. */
  async function subscribe(...words: string[]): Promise<{ lines: Promise<string[]> }> {
    const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...at(), '-d', '-W', '30', ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    let subscribed: () => void = () => {};
    const ready = new Promise<void>((resolve) => {
      subscribed = resolve;
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      if (out.includes('Subscribed (mid')) subscribed();
    });
    const lines = new Promise<string[]>((resolve) =>
      child.on('close', () => resolve(out.split('\n').filter((line) => line.startsWith('got ')))),
    );
    await Promise.race([ready, lines]);
    return { lines };
  }

  test.each(['31', '311', '5'])('version %s: publish by each version, subscribe by this one', async (version) => {
    const { lines } = await subscribe(
      '-V',
      version,
      '-t',
      `t/${version}/+`,
      '-q',
      '1',
      '-C',
      '6',
      '-F',
      'got %t %q %p',
    );
    for (const from of ['31', '311', '5'])
      for (const qos of ['0', '1'])
        await publish('-V', from, '-t', `t/${version}/${from}`, '-q', qos, '-m', `by ${from}`);
    expect(await lines).toEqual(
      ['31', '311', '5'].flatMap((from) => ['0', '1'].map((qos) => `got t/${version}/${from} ${qos} by ${from}`)),
    );
  });

  test('a thousand lines, in order', async () => {
    const { lines } = await subscribe('-t', 'lines', '-q', '1', '-C', '1000', '-F', 'got %p');
    const publisher = spawn('mosquitto_pub', [...at(), '-t', 'lines', '-q', '1', '-l'], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    publisher.stdin.end(Array.from({ length: 1000 }, (_, line) => `${line}\n`).join(''));
    expect(await lines).toEqual(Array.from({ length: 1000 }, (_, line) => `got ${line}`));
  });

  test('request and response with MQTT 5 properties', async () => {
    const { lines } = await subscribe('-V', '5', '-t', 'ask', '-q', '1', '-C', '1', '-F', 'got %R %D %C %P %p');
    const properties = ['response-topic', 'answer', 'correlation-data', 'c7', 'content-type', 'text/plain'];
    const words = [0, 2, 4].flatMap((from) => ['-D', 'publish', ...properties.slice(from, from + 2)]);
    await publish('-V', '5', '-t', 'ask', '-q', '1', '-m', 'why', ...words, '-D', 'publish', 'user-property', 'k', 'v');
    expect(await lines).toEqual(['got answer c7 text/plain k:v why']);
  });

  test('the will of a client that is killed', async () => {
    const { lines } = await subscribe('-t', 'wills', '-q', '1', '-C', '1', '-F', 'got %p');
    const dying = spawn(
      'stdbuf',
      ['-oL', 'mosquitto_sub', ...at(), '-d', '-t', 'x', '--will-topic', 'wills', '--will-payload', 'bye'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await new Promise<void>((resolve) =>
      dying.stdout.setEncoding('utf8').on('data', (text: string) => text.includes('Subscribed') && resolve()),
    );
    dying.kill('SIGKILL');
    expect(await lines).toEqual(['got bye']);
  });

  test('what is not there yet is refused in words that the clients understand', async () => {
    const refused = await publish('-V', '5', '-t', 'x', '-m', 'x', '-q', '2'); // it exits with 0 all the same
    expect(refused.stderr).toContain('QoS not supported');
    const shared = await run('mosquitto_sub', [...at(), '-V', '5', '-t', '$share/g/x', '-W', '5'], {
      timeout: 30_000,
    }).catch((error: { stderr: string }) => error);
    expect(shared.stderr).toContain('denied');
  });
});
