import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { VERBS } from '../src/cli/verbs.ts';
import { command, inFolder, withNode } from './node-fixture.ts';

test('every verb has help that names its flags', async () => {
  for (const verb of VERBS) {
    const { code, out } = await command([...verb.name.split(' '), '--help']);
    expect(code).toBe(0);
    for (const flag of Object.keys(verb.flags)) expect(out).toContain(`--${flag}`);
  }
});

test.each([
  ['an unknown verb', ['strat'], 2, /there is no verb "strat"\. Did you mean start\?/],
  ['an unknown verb of a group', ['topic', 'crate', 'x'], 2, /Did you mean topic create\?/],
  ['an unknown flag', ['status', '--jsno'], 2, /status has no flag --jsno\. Did you mean --json\?/],
  ['a missing word', ['topic', 'create'], 2, /topic create needs TOPIC/],
  ['a word too many', ['status', 'x'], 2, /does not know what to do with "x"/],
  ['a flag without its value', ['start', '--data'], 2, /--data needs a value: --data DIR/],
  ['a flag given twice', ['start', '--data', 'a', '--data=b'], 2, /--data is given twice/],
  ['a value where none belongs', ['status', '--json=1'], 2, /--json takes no value/],
  ['a setting that is wrong', ['check', '--set', 'admin.port=x'], 3, /^CONFIG_TYPE --set admin.port=x/],
  ['a file that is not there', ['check', '-c', 'gone.yaml'], 3, /^CONFIG_NOT_FOUND .*gone.yaml/],
  [
    'a plug-in that is not there',
    ['check', '--set', 'engines.x.use=gone'],
    3,
    /^PLUGIN_NOT_FOUND: --set engines.x.use=gone: engines.x.use: there is no engine/,
  ],
  ['no node', ['status', '--admin', 'http://127.0.0.1:1'], 4, /^ADMIN_UNREACHABLE: no node answers/],
  ['an address that is none', ['status', '--admin', 'nonsense'], 2, /^USAGE: nonsense is no http:\/\/ address/],
  ['a unit that is none', ['topic', 'create', 'x', '--retention', 'soon'], 2, /--retention can't be "soon"/],
  ['a setting that can not be reset', ['topic', 'alter', 'x', '--reset', 'bla'], 2, /"bla"\. There is .*retention\.ms/],
  ['shards of a topic that is there', ['topic', 'alter', 'x', '--shards', '2'], 2, /no flag --shards/],
  ['an unknown code', ['explain', 'DISK_FUL'], 2, /Did you mean DISK_FULL\?/],
])('%s: exit code and message', async (_, words, code, message) => {
  const result = await command(words);
  expect(result.error).toMatch(message);
  expect(result.code).toBe(code);
});

test('with --json an error is one line of JSON', async () => {
  const { error } = await command(['check', '--json', '--set', 'admin.prot=1']);
  expect(JSON.parse(error)).toMatchObject({ code: 'CONFIG_UNKNOWN_KEY', issues: [{ path: 'admin.prot' }] });
});

test('config init writes a file of at most 12 lines that check accepts, and never overwrites one', () =>
  inFolder(async (cwd) => {
    expect((await command(['config', 'init'], { cwd })).code).toBe(0);
    expect((await readFile(join(cwd, 'robust.yaml'), 'utf8')).trim().split('\n').length).toBeLessThanOrEqual(12);
    expect(await command(['check', '-c', 'robust.yaml'], { cwd })).toMatchObject({ code: 0, error: '' });
    expect(await command(['config', 'init'], { cwd })).toMatchObject({ code: 1 });
  }));

test('config print, schema and engines ls work without a node', async () => {
  expect((await command(['config', 'print', '--set', 'admin.port=7'])).out).toMatch(
    /^admin:\n {2}(host.*\n {2})?port: 7$/m,
  );
  const origins = await command(['config', 'print', '--origin', '--set', 'admin.port=7']);
  expect(origins.out).toMatch(/^admin\.port +7 +--set admin\.port=7$/m);
  expect(JSON.parse((await command(['config', 'schema'])).out)).toMatchObject({ title: 'RobustMQ configuration' });
  const engines = JSON.parse((await command(['engines', 'ls', '--json'])).out);
  expect(engines).toContainEqual(
    expect.objectContaining({ engine: 'memory', durability: 'none', instances: ['memory'] }),
  );
});

test('config print covers secrets, also where it says where they came from', async () => {
  const set = (value: string): string[] => ['--set', `engines.cold.${value}`];
  const words = ['config', 'print', ...set('use=s3'), ...set('bucket=archive'), ...set('accessKeyId=me')];
  for (const shape of [[], ['--origin'], ['--json'], ['--json', '--origin']]) {
    const { out, code } = await command([...words, ...set('secretAccessKey=hush=hush'), ...shape]);
    expect(code).toBe(0);
    expect(out).toContain('********');
    expect(out).toContain('archive');
    expect(out).not.toContain('hush');
  }
});

test('the verbs for topics and records do what they say on a running node', () =>
  withNode({}, async (node) => {
    const run = (...words: string[]): Promise<{ code: number; out: string; error: string }> => command(words, { node });
    expect((await run('topic', 'ls')).out).toMatch(/^No topics yet/);
    expect((await run('topic', 'create', 'orders', '--shards', '3', '--retention', '2d')).out).toBe(
      'Topic orders created: 3 shards on engine local.\n',
    );
    expect((await run('topic', 'create', 'orders')).error).toMatch(/^TOPIC_EXISTS/);
    expect((await run('pub', 'orders', 'hi', '--key', 'a', '--header', 'x=y')).out).toBe(
      'Published 1 record to orders.\n',
    );
    const many = Array.from({ length: 1200 }, (_, i) => `${i}\n`).join('');
    expect((await command(['pub', 'orders', '--shard', '0'], { node, stdin: many })).out).toBe(
      'Published 1200 records to orders.\n',
    );
    const read = await run('sub', 'orders', '--shard', '0', '--from', 'start', '--no-follow');
    expect(read.out).toBe(many);
    const all = (await run('sub', 'orders', '--from', 'start', '--no-follow', '--json')).out.trim().split('\n');
    expect(all).toHaveLength(1201);
    expect((await run('sub', 'orders', '--from', 'start', '-n', '5', '--shard', '0')).out).toBe('0\n1\n2\n3\n4\n');
    const weaker = await run('topic', 'alter', 'orders', '--engine', 'memory');
    expect(weaker.error).toMatch(/^WEAKER_DURABILITY/);
    expect((await run('topic', 'alter', 'orders', '--engine', 'memory', '--allow-weaker-durability')).code).toBe(0);
    expect((await run('topic', 'alter', 'orders', '--reset', 'retention.ms', '--dry-run')).code).toBe(0);
    const described = await run('topic', 'describe', 'orders');
    expect(described.out).toMatch(/^engine +memory +topic$/m);
    expect(described.out).toMatch(/^retention\.ms +2d +topic$/m);
    expect(JSON.parse((await run('topic', 'ls', '--json')).out)).toMatchObject([{ name: 'orders', shardCount: 3 }]);
    expect((await run('topic', 'recover', 'orders')).error).toMatch(
      /^USAGE: topic recover gives up data\. Say so with --accept-loss/,
    );
    expect((await run('topic', 'recover', 'orders', '--accept-loss')).out).toBe('Nothing had to be given up.\n');
    expect((await run('topic', 'delete', 'orders')).code).toBe(0);
    expect((await run('topic', 'describe', 'orders')).error).toMatch(/^TOPIC_UNKNOWN/);
    expect(JSON.parse((await run('status', '--json')).out)).toMatchObject({ ready: true });
    expect((await run('status')).out).toMatch(/^ready, version /);
  }));

test('sub waits for what comes, and control-C ends it with 0', () =>
  withNode({}, async (node) => {
    await command(['pub', 't', 'first'], { node });
    const stop = new AbortController();
    const reading = command(['sub', 't', '--from', 'start', '-n', '2'], { node, signal: stop.signal });
    await command(['pub', 't', 'second'], { node });
    expect(await reading).toMatchObject({ code: 0, out: 'first\nsecond\n' });
    const waiting = command(['sub', 't', '--from', 'end'], { node, signal: stop.signal });
    await command(['status'], { node });
    stop.abort();
    expect((await waiting).code).toBe(0);
  }));
