import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command } from '../../src/cli/main.ts';
import { fileServer } from '../remote-files.ts';
import { changed, emptyFolder } from './engines.ts';
import { BIN, node } from './process.ts';

const MEMORY = '@robustmq/engine-memory';
/** One that loses the order of a list: SHARD-102 is about that. */
const UNORDERED = changed(
  '',
  'const list = engine.list.bind(engine); engine.list = async (o) => (await list(o)).reverse();',
);

describe('robust-conformance', { timeout: 120_000 }, () => {
  it('proves a package, prints the whole card, and ends by itself with 0', async () => {
    const { code, stdout, stderr } = await node([BIN, MEMORY, '--quick']);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/skipped +\d+ \(SHARD-/);
    expect(stdout).toMatch(
      /^memory \S+ \(package @robustmq\/engine-memory\)\n {2}passed +\d+ \(engine \d+, shard \d+\)\n {2}failed +0\n/,
    );
    expect(stdout).toMatch(/not claimed +\d+ \(.*SHARD-020/);
    expect(stdout).toMatch(/durability +none claimed; shown: n\/a/);
    expect(stdout).toMatch(/append, 1 in flight +[\d,]+\/s of 1024 bytes; the disk alone.*; ratio \d/);
    expect(stdout).toMatch(/read in order +[\d,]+ MiB\/s/);
    expect(stdout).toMatch(/versions +engine \S+, contract \S+, suite \S+/);
    expect(stdout).toMatch(/seed +1\n/);
    expect(stdout).toMatch(/All MUST of this run passed\. It is a part of the suite: \d+ checks were left out/);
    // not a terminal: a line for each check
    expect(stderr).toMatch(/^\[ *\d+\/\d+\] engine SHARD-001 passed$/m);
    expect(stderr).not.toContain('keeps the process alive');
  });

  it('says of a failure the promise, why it exists, what was seen, and how to run just this; and ends with 1', async () => {
    await using place = await emptyFolder();
    await place.write('engine.mjs', UNORDERED);
    const words = [BIN, './engine.mjs', '--only', 'SHARD-001,102', '--seed', '7'];
    const { code, stdout } = await node(words, { cwd: place.dir });
    expect(code).toBe(1);
    expect(stdout).toContain('FAILED engine SHARD-102 MUST list ids in order');
    expect(stdout).toContain('  why   Sweepers delete what a listing does not explain');
    expect(stdout).toMatch(/ {2}seen {2}IO_ERROR: .*broke its contract: list gave/);
    expect(stdout).toContain('  run   npx @robustmq/conformance ./engine.mjs --only SHARD-102 --seed 7');
    expect(stdout).toContain('A MUST failed');
    expect(stdout).not.toContain('in flight');
  });

  it('names the line of the engine that threw', async () => {
    await using place = await emptyFolder();
    await place.write('engine.mjs', changed('', '\nengine.list = async () => { throw new TypeError("oh"); };'));
    const { stdout } = await node([BIN, 'engine.mjs', '--only', '102'], { cwd: place.dir });
    expect(stdout).toMatch(/ {2}seen {2}IO_ERROR: .*It said: oh .*\n {2}at {4}.*engine\.mjs:8:\d+\)/);
  });

  it('gives the card as JSON, and as a badge and a table, with nothing else on standard output', async () => {
    await using place = await emptyFolder();
    await place.write('engine.mjs', UNORDERED);
    const json = await node([BIN, './engine.mjs', '--only', '1', '--only', '102', '--json'], { cwd: place.dir });
    const card = JSON.parse(json.stdout);
    expect(card).toMatchObject({
      engine: { name: 'changed', capabilities: { durability: 'none' } },
      seed: 1,
      passed: ['SHARD-001'],
      failures: [{ id: 'SHARD-102', stage: 'engine', level: 'MUST', at: expect.any(Array) }],
      notClaimed: [],
      allMustPassed: false,
    });
    expect(json.stderr).toContain('FAILED engine SHARD-102');
    const markdown = await node([BIN, './engine.mjs', '--only', '1,102', '--markdown'], { cwd: place.dir });
    expect(markdown.stdout).toMatch(
      /^!\[RobustMQ conformance 0\.1: 1 failed\]\(https:\/\/img\.shields\.io\/badge\/RobustMQ%20conformance%200\.1-1%20failed-red\)\n\n\| \| \|\n\| --- \| --- \|\n\| engine \| changed/,
    );
  });

  it.each([['--quick'], ['--only', '1']])(
    'says in its badge that a run with %s is a part of the suite',
    async (...less) => {
      const { code, stdout } = await node([BIN, MEMORY, ...less, '--markdown']);
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /^!\[.*: partial, (\d+) passed, (\d+) left out\]\(.*-partial%2C%20\1%20passed%2C%20\2%20left%20out-lightgrey\)/,
      );
      expect(stdout).toMatch(/\| left out \| \d+: this is a part of the suite/);
      expect(stdout).not.toContain('green');
    },
  );

  it('ends with 2, and says that nothing ran, where the engine claims none of the checks asked for', async () => {
    const words = [BIN, MEMORY, '--only', 'SHARD-200'];
    const [card, badge, json] = await Promise.all([
      node(words),
      node([...words, '--markdown']),
      node([...words, '--json']),
    ]);
    expect(card.code).toBe(2);
    expect(card.stdout).toContain('Nothing ran: the engine claims none of the checks that were asked for.');
    expect(card.stdout).not.toContain('All MUST');
    expect(badge).toMatchObject({ code: 2, stdout: expect.stringMatching(/nothing%20ran-lightgrey\)/) });
    expect(JSON.parse(json.stdout)).toMatchObject({ passed: [], notClaimed: ['SHARD-200'], allMustPassed: false });
  });

  it('takes settings from a file, with units, and fills in the rest', async () => {
    await using place = await emptyFolder();
    await place.write('settings.yaml', 'use: memory\nlimitBytes: 64MiB\n');
    const words = [BIN, MEMORY, '--config', 'settings.yaml', '--only', '1'];
    expect(await node(words, { cwd: place.dir })).toMatchObject({ code: 0 });
  });

  it('proves an engine that talks to a service, which is told where by placeholders in its settings', async () => {
    await using place = await emptyFolder();
    const service = await fileServer();
    try {
      await place.write('settings.yaml', `host: '{host}'\nport: '{port}'\ndir: ${place.dir}/{world}\n`);
      const engine = new URL('../http-engine.ts', import.meta.url).pathname;
      const where = ['--config', 'settings.yaml', '--service', `127.0.0.1:${service.port}`];
      const words = [BIN, engine, ...where, '--only', '1,32,151,213,240', '--json'];
      const { code, stdout, stderr } = await node(words, { cwd: place.dir });
      expect(code, stderr).toBe(0);
      const { passed, facts, stages } = JSON.parse(stdout);
      expect(passed.toSorted()).toEqual(['SHARD-001', 'SHARD-032', 'SHARD-151', 'SHARD-213', 'SHARD-240']);
      expect(facts.faultSteps.tried).toBeGreaterThan(0);
      expect(facts.kills.rounds).toBeGreaterThan(0);
      expect(stages.map((one: { stage: string }) => one.stage)).toEqual(['engine', 'shard']);
    } finally {
      await service.close();
    }
  });

  it.each([
    ['no engine', [], 'which engine'],
    ['two engines', ['a', 'b'], 'one engine at a time'],
    ['an option that does not exist', [MEMORY, '--fast'], "Unknown option '--fast'"],
    ['a check that does not exist', [MEMORY, '--only', 'SHARD-9'], 'there is no check "SHARD-9"'],
    ['a seed that is none', [MEMORY, '--seed', 'x'], 'is not a whole number'],
    ['a service that is no address', [MEMORY, '--service', 'localhost'], 'is not an address such as 127.0.0.1:9000'],
    ['a service that no setting names', [MEMORY, '--service', 'localhost:9', '--config', 'good.yaml'], '{port}'],
    ['a service without settings', [MEMORY, '--service', '[::1]:9'], '--service needs a --config file'],
    ['a placeholder out of place', ['./needy.mjs', '--service', 'h:9', '--config', 'port.yaml'], 'port.yaml:1:11'],
    ['a package that is not there', ['no-such-engine'], 'PLUGIN_NOT_FOUND: there is no engine "no-such-engine"'],
    ['a path that is not there', ['./none.js'], 'PLUGIN_NOT_FOUND'],
    ['a module that throws', ['./throws.mjs'], 'PLUGIN_LOAD_FAILED'],
    ['a module without a default export', ['./empty.mjs'], 'PLUGIN_NO_EXPORT'],
    ['an engine without capabilities', ['./claimless.mjs'], 'PLUGIN_INVALID'],
    ['an engine for another contract', ['./newer.mjs'], 'PLUGIN_API_VERSION'],
    ['an engine that must be given settings', ['./needy.mjs'], 'CONFIG_MISSING: endpoint: this setting is missing'],
    ['a settings file that is not there', [MEMORY, '--config', 'none.yaml'], 'CONFIG_NOT_FOUND: none.yaml'],
    [
      'a misspelt setting',
      [MEMORY, '--config', 'typo.yaml'],
      'CONFIG_UNKNOWN_KEY: typo.yaml:2:1: limitByte: there is no such setting. Did you mean limitBytes?',
    ],
    [
      'a setting out of range',
      [MEMORY, '--config', 'small.yaml'],
      'CONFIG_VALUE: small.yaml:1:13: limitBytes: is 1MiB',
    ],
  ])('ends with 2 and one plain message for %s', async (_, words, message) => {
    await using place = await emptyFolder();
    await place.write('throws.mjs', 'throw new Error("broken")');
    await place.write('empty.mjs', 'export const engine = 1');
    await place.write('claimless.mjs', changed('capabilities: undefined,'));
    await place.write('newer.mjs', changed('apiVersion: 99,'));
    const schema = `{ type: 'object', additionalProperties: false, required: ['endpoint'], properties: { endpoint: { type: 'string' } } }`;
    await place.write('needy.mjs', changed(`configSchema: ${schema},`));
    await place.write('typo.yaml', '# mine\nlimitByte: 64MiB\n');
    await place.write('good.yaml', 'limitBytes: 64MiB\n');
    await place.write('port.yaml', 'endpoint: "{port}"\n');
    await place.write('small.yaml', 'limitBytes: 1MiB\n');
    const told: string[] = [];
    const unexpected = { write: (text: string) => expect(text).toBe('') };
    const stderr = { write: (text: string) => told.push(text) };
    expect(await command(words, { cwd: place.dir, stdout: unexpected, stderr })).toBe(2);
    expect(told.join('')).toContain(message);
    expect(told.join('')).not.toMatch(/^ {4}at /m);
  });

  it('stops at Ctrl-C, with 130, and leaves nothing behind', async () => {
    await using place = await emptyFolder();
    const scratch = join(place.dir, 'tmp');
    mkdirSync(scratch);
    const { code, stdout } = await node([BIN, MEMORY, '--jobs', '3'], {
      env: { TMPDIR: scratch },
      onStart: (interrupt) => interrupt(),
    });
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(existsSync(scratch) && readdirSync(scratch)).toEqual([]);
  });

  it.each([
    ['while it is loaded', 'process.exit(0);'],
    ['while it is opened', changed('', 'process.exit(0);')],
    ['in a timer', changed('', 'setTimeout(() => process.exit(0), 1);')],
    ['by what nobody catches', changed('', 'setTimeout(() => { throw new Error("oh"); }, 1);')],
  ])('ends with 2, says so and leaves nothing behind when the engine ends the process %s', async (_, text) => {
    await using place = await emptyFolder();
    await place.write('engine.mjs', text);
    const scratch = join(place.dir, 'tmp');
    mkdirSync(scratch);
    const { code, stdout, stderr } = await node([BIN, './engine.mjs', '--quick'], {
      cwd: place.dir,
      env: { TMPDIR: scratch },
    });
    expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('ended before there was a card');
    expect(readdirSync(scratch).filter((name) => name.startsWith('robust'))).toEqual([]);
  });

  it('keeps what an engine prints out of the card', async () => {
    await using place = await emptyFolder();
    await place.write('engine.mjs', changed('', 'console.log("noise");'));
    const { stdout, stderr } = await node([BIN, './engine.mjs', '--only', '1', '--json'], { cwd: place.dir });
    expect(JSON.parse(stdout)).toMatchObject({ allMustPassed: true });
    expect(stderr).toContain('noise');
  });

  it('ends with 2 and one plain message where nothing can be written', async () => {
    const { code, stderr } = await node([BIN, MEMORY], { env: { TMPDIR: '/no/such/folder' } });
    expect(code).toBe(2);
    expect(stderr).toContain('nothing can be written below /no/such/folder');
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  it('names what an engine leaves behind, and ends all the same', async () => {
    await using place = await emptyFolder();
    await place.write(
      'engine.mjs',
      changed('', 'setInterval(() => {}, 1000); (await import("node:net")).createServer().listen(0, "127.0.0.1");'),
    );
    const { code, stderr } = await node([BIN, './engine.mjs', '--only', '1'], { cwd: place.dir });
    expect(stderr).toMatch(/still keeps the process alive.*TCP/);
    expect(code).toBe(0);
  });

  it('says the same of an engine whether one process or several run the checks', async () => {
    await using place = await emptyFolder();
    await place.write(
      'engine.mjs',
      changed(
        '',
        'engine.list = async () => { throw new TypeError("oh"); }; (await import("node:net")).createServer().listen(0, "127.0.0.1");',
      ),
    );
    const cardOf = async (jobs: string) => {
      const words = [BIN, './engine.mjs', '--only', '1,2,3,20,30,75,100,101,102,103,104', '--json', '--jobs', jobs];
      const { code, stdout, stderr } = await node(words, { cwd: place.dir });
      expect(stderr).toMatch(/still keeps .* alive after everything was closed: .*TCP/);
      expect(code).toBe(1);
      const { passed, notClaimed, failures } = JSON.parse(stdout);
      return { passed, notClaimed, failures };
    };
    const alone = await cardOf('1');
    expect(alone.failures[0].at.join()).toContain('engine.mjs:7');
    expect(await cardOf('3')).toEqual(alone);
  });
});
