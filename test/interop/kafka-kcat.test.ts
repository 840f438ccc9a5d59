import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerProcess } from '../crash/server-process.ts';

const run = promisify(execFile);

let data: string;
let server: ServerProcess;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'robust-kcat-'));
  server = new ServerProcess({ data });
  await server.ready();
});

afterAll(async () => {
  await server.kill();
  await rm(data, { recursive: true });
});

async function kcat(words: readonly string[], input = ''): Promise<string> {
  const running = run('kcat', ['-b', `127.0.0.1:${server.ports.kafka}`, ...words], { timeout: 30_000 });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

describe('kcat, unmodified', () => {
  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('writes with %s, and reads it back', async (codec) => {
    const topic = `kcat-${codec}`;
    const lines = Array.from({ length: 1000 }, (_, i) => `${codec} line ${i}`);
    await kcat(['-P', '-t', topic, '-z', codec, '-X', 'enable.idempotence=true'], lines.map((l) => `${l}\n`).join(''));
    const read = await kcat(['-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%o %s\n']);
    expect(read.trimEnd().split('\n')).toEqual(lines.map((line, i) => `${i} ${line}`));
  });

  test('keeps keys, headers, empty values and tombstones', async () => {
    await kcat(['-P', '-t', 'kcat-parts', '-K', ':', '-H', 'h=1', '-H', 'empty='], 'k:v\n:no key\nk2:\n');
    await kcat(['-P', '-t', 'kcat-parts', '-K', ':', '-Z'], 'gone:\n');
    const read = await kcat(['-C', '-t', 'kcat-parts', '-o', 'beginning', '-e', '-q', '-f', '%k|%K|%s|%S|%h\n']);
    expect(read.split('\n').slice(0, -1)).toEqual([
      'k|1|v|1|h=1,empty=',
      '|0|no key|6|h=1,empty=',
      'k2|2||0|h=1,empty=',
      'gone|4||-1|',
    ]);
  });

  test('starts from the end, from an offset and from a time', async () => {
    await kcat(['-P', '-t', 'kcat-from'], 'a\nb\nc\nd\n');
    const from = (offset: string) => kcat(['-C', '-t', 'kcat-from', '-o', offset, '-e', '-q']);
    expect(await from('2')).toBe('c\nd\n');
    expect(await from('-1')).toBe('d\n');
    expect(await from('s@1000')).toBe('a\nb\nc\nd\n');
    expect(await kcat(['-Q', '-t', 'kcat-from:0:-1'])).toBe('kcat-from [0] offset 4\n');
  });

  test('lists the node and its topics', async () => {
    await kcat(['-P', '-t', 'kcat-listed'], 'x\n');
    expect(await kcat(['-L', '-t', 'kcat-listed'])).toMatch(
      /topic "kcat-listed" with 1 partitions:\s+partition 0, leader \d+/,
    );
  });
});
