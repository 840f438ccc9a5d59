import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { FREE_PORTS, inFolder } from './node-fixture.ts';

const BIN = fileURLToPath(new URL('../../bin/robust-server', import.meta.url));

interface Started {
  readonly child: ChildProcess;
  /** The start-up message, or undefined when it ended before. */
  readonly ready: { readonly pid: number; readonly startedInMs: number; readonly data: string } | undefined;
  /** Exit code and everything on standard error, once it has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly error: string }>;
}

async function start(folder: string, ...words: string[]): Promise<Started> {
  const sets = FREE_PORTS.flatMap((set) => ['--set', set]);
  const child = spawn(BIN, ['start', '--json', ...sets, ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let error = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    error += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: typeof code === 'number' ? code : null, error }));
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  const line = await Promise.race([once(lines, 'line').then(([text]) => String(text)), ended.then(() => undefined)]);
  return { child, ended, ready: line === undefined ? undefined : JSON.parse(line) };
}

test('start prints one line of JSON, serves, and ends with 0 on SIGTERM and on SIGINT', () =>
  inFolder(async (folder) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const node = await start(folder);
      // one process: the launcher has become the server
      expect(node.ready).toMatchObject({
        event: 'started',
        ready: true,
        problems: [],
        pid: node.child.pid,
        data: expect.stringContaining('data'),
      });
      node.child.kill(signal);
      expect(await node.ended).toMatchObject({ code: 0 });
    }
  }));

test('a start whose store can not be reached says that it serves, that it is not ready, and what is wrong', () =>
  inFolder(async (folder) => {
    const cold =
      'engines: { cold: { use: s3, bucket: bucket, endpoint: "http://127.0.0.1:1", accessKeyId: x, secretAccessKey: y } }';
    await writeFile(join(folder, 'robust.yaml'), cold);
    const node = await start(folder, '--config', 'robust.yaml');
    expect(node.ready).toMatchObject({
      event: 'started',
      ready: false,
      problems: [
        { code: 'ENGINE_UNHEALTHY', where: 'cold', detail: expect.stringContaining('Check the setting endpoint') },
      ],
      listeners: expect.arrayContaining([expect.objectContaining({ protocol: 'kafka' })]),
    });
    node.child.kill('SIGTERM');
    expect(await node.ended).toMatchObject({ code: 0 });
  }));

test('a second process on the same data directory is refused and the first goes on', () =>
  inFolder(async (folder) => {
    const first = await start(folder);
    const second = await start(folder);
    expect(second.ready).toBeUndefined();
    expect(await second.ended).toMatchObject({ code: 1, error: expect.stringContaining('DIRECTORY_LOCKED') });
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 0 });
  }));

test('kill -9 leaves nothing that keeps the next start from working', () =>
  inFolder(async (folder) => {
    const first = await start(folder);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await start(folder);
    expect(second.ready).toBeDefined();
    second.child.kill('SIGTERM');
    expect(await second.ended).toMatchObject({ code: 0 });
  }));

test('a wider bind than loopback warns aloud', () =>
  inFolder(async (folder) => {
    const node = await start(folder, '--set', 'brokers.mqtt.host=0.0.0.0');
    node.child.kill('SIGTERM');
    expect((await node.ended).error).toMatch(/warn .*NO AUTHENTICATION/);
  }));

test('a node whose output nobody reads any more goes on, and still stops in order', () =>
  inFolder(async (folder) => {
    const node = await start(folder);
    node.child.stdout?.destroy();
    node.child.stderr?.destroy();
    node.child.kill('SIGTERM');
    expect(await node.ended).toMatchObject({ code: 0 });
  }));

/** A broker of a third party, as a file beside the config. */
const broker = (open: string, drain = ''): string => `
export default {
  name: 'odd',
  apiVersion: 0.1,
  version: '1.0.0',
  configSchema: { type: 'object', additionalProperties: false },
  async open() {
    ${open}
    return { listeners: () => [], async drain() { ${drain} }, async close() {} };
  },
};
`;

test('a rejection that nobody looks at is logged, and the node stops with 70', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'odd.mjs'), broker("setTimeout(() => Promise.reject(new Error('left alone')), 50);"));
    const node = await start(folder, '--set', 'brokers.odd.use=./odd.mjs');
    expect(await node.ended).toMatchObject({
      code: 70,
      error: expect.stringMatching(/error a promise was rejected[\s\S]*left alone/),
    });
  }));

test('SIGTERM ends a start that hangs in a plug-in, and the message names it', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'odd.mjs'), broker("console.error('opening'); await new Promise(() => {});"));
    const sets = [...FREE_PORTS, 'brokers.odd.use=./odd.mjs'].flatMap((set) => ['--set', set]);
    const child = spawn(BIN, ['start', ...sets], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let error = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      error += text;
      if (text.includes('opening')) child.kill('SIGTERM');
    });
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(error).toContain('START_INTERRUPTED: the node was told to stop while broker odd was being opened');
  }));

test('a plug-in whose top-level await never settles is named by check', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'odd.mjs'), `await new Promise(() => {});\n${broker('')}`);
    const child = spawn(BIN, ['check', '--set', 'brokers.odd.use=./odd.mjs'], { cwd: folder, stdio: 'pipe' });
    let error = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      error += text;
    });
    expect(await once(child, 'close')).toEqual([3, null]);
    expect(error).toMatch(/^PLUGIN_LOAD_FAILED: .*brokers\.odd.*never/);
  }));

test('a second signal ends the process at once', () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, 'odd.mjs'), broker('', "console.error('draining'); await new Promise(() => {});"));
    const sets = ['--set', 'brokers.odd.use=./odd.mjs', '--set', 'node.drainTimeoutMs=1h'];
    const node = await start(folder, ...sets);
    node.child.kill('SIGTERM');
    await once(createInterface({ input: node.child.stderr ?? process.stdin }), 'line');
    node.child.kill('SIGTERM');
    expect(await node.ended).toMatchObject({ code: 130 });
  }));

test('what a command prints is whole, also when whoever reads it takes its time', () =>
  inFolder(async (folder) => {
    const rules = Array.from({ length: 1000 }, (_, i) => `  - { match: "${'long'.repeat(50)}-${i}", engine: memory }`);
    await writeFile(join(folder, 'robust.yaml'), `topics:\n${rules.join('\n')}\n`);
    const child = spawn(BIN, ['config', 'print', '-c', 'robust.yaml'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const closed = once(child, 'close');
    await once(child.stdout, 'readable');
    // more than a pipe holds, and nobody takes it for a while
    await sleep(1000);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (some: string) => {
      text += some;
    });
    await closed;
    expect(text.length).toBeGreaterThan(200_000);
    expect(text).toContain('long-999');
  }));
