import { describe, expect, test } from 'vitest';
import { type Given, issues, load, refusal } from './fixture.ts';

const wrong: Readonly<Record<string, readonly [Given, string]>> = {
  'an unknown key': [
    { yaml: 'brokers:\n  kafka:\n    prot: 1\n' },
    'CONFIG_UNKNOWN_KEY robust.yaml:3:5: brokers.kafka.prot: there is no such setting. Did you mean port?',
  ],
  'an unknown key at the top': [
    { yaml: 'brokres: {}' },
    'CONFIG_UNKNOWN_KEY robust.yaml:1:1: brokres: there is no such setting. Did you mean brokers?',
  ],
  'an unknown setting of an engine': [
    { yaml: 'engines:\n  hot: {use: memory, limitBits: 1}' },
    'CONFIG_UNKNOWN_KEY robust.yaml:2:22: engines.hot.limitBits: there is no such setting. Did you mean limitBytes?',
  ],
  'a rule with an unknown key': [
    { yaml: 'topics:\n  - match: a\n    retension: {ms: 1}\n' },
    'CONFIG_UNKNOWN_KEY robust.yaml:3:5: topics[0].retension: there is no such setting. Did you mean retention?',
  ],
  'a missing key': [
    { yaml: 'topics:\n  - engine: memory\n' },
    'CONFIG_MISSING robust.yaml:2:5: topics[0].match: this setting is missing',
  ],
  'a wrong type': [
    { yaml: 'admin:\n  port: high\n' },
    'CONFIG_TYPE robust.yaml:2:9: admin.port: "high" is not a whole number',
  ],
  'a value out of range': [
    { yaml: 'admin: {port: 70000}' },
    'CONFIG_VALUE robust.yaml:1:15: admin.port: is 70000, must be at most 65535',
  ],
  'a size out of range': [
    { yaml: 'engines: {memory: {limitBytes: 1KiB}}\nmemory: {requestBytes: 1MiB}' },
    'CONFIG_VALUE robust.yaml:2:24: memory.requestBytes: is 1MiB, must be at least 4MiB',
  ],
  'a duration that is none': [
    { yaml: 'defaults: {retention: {ms: 10 minutes}}' },
    'CONFIG_TYPE robust.yaml:1:28: defaults.retention.ms: "10 minutes" is not a duration such as 500ms, 10s, 1h30m or 7d (a plain number is milliseconds)',
  ],
  'a choice that is none': [
    { yaml: 'log: {level: inof}' },
    'CONFIG_VALUE robust.yaml:1:14: log.level: "inof" is not one of debug, info, warn, error. Did you mean info?',
  ],
  'an engine instance that is not there': [
    { yaml: 'engines: {hot: {use: memory}}\ntopics:\n  - {match: a, engine: hto}' },
    'CONFIG_ENGINE_UNKNOWN robust.yaml:3:24: topics[0].engine: "hto" is not the name of an engine instance. Did you mean hot?',
  ],
  'an archive that is not there': [
    {
      yaml: 'engines: {hot: {use: memory}}\ntopics:\n  - {match: b, archive: {to: none}}\n  - {match: a, archive: {to: hto}}',
    },
    'CONFIG_ENGINE_UNKNOWN robust.yaml:4:30: topics[1].archive.to: "hto" is not the name of an engine instance. Did you mean hot?',
  ],
  'a default archive that is not there': [
    { yaml: 'defaults: {archive: {to: lake}}' },
    'CONFIG_ENGINE_UNKNOWN robust.yaml:1:26: defaults.archive.to: "lake" is not the name of an engine instance',
  ],
  'a bad instance name': [
    { yaml: 'engines: {"Hot!": {use: memory}}' },
    'CONFIG_VALUE robust.yaml:1:11: engines.Hot!: the name "Hot!" is not allowed here',
  ],
  'a file that is a list': [
    { yaml: '- a\n- b\n' },
    'CONFIG_TYPE robust.yaml:1:1: the file must be a map of settings. Start with a line such as "data: ./data"',
  ],
  'a key that stands there twice': [
    { yaml: 'admin: {port: 1}\nadmin: {port: 2}\n' },
    'CONFIG_DUPLICATE_KEY robust.yaml:2:1: this key stands here for the second time. Keep one of the two',
  ],
  'a tab': [{ yaml: 'admin:\n\tport: 1\n' }, 'CONFIG_SYNTAX robust.yaml:2:1'],
  'an open bracket': [{ yaml: 'admin: {port: 1\n' }, 'CONFIG_SYNTAX robust.yaml:'],
  'two documents': [{ yaml: 'a: 1\n---\nb: 2\n' }, 'CONFIG_SYNTAX robust.yaml:'],
  'an unknown tag': [{ yaml: 'data: !!js/function "x"\n' }, 'CONFIG_SYNTAX robust.yaml:1:7'],
  'bytes that are no UTF-8': [
    { yaml: Uint8Array.of(0x64, 0xff, 0xfe) },
    'CONFIG_ENCODING robust.yaml: the file is not',
  ],
  'a huge file': [
    { yaml: `# ${'x'.repeat(1_100_000)}` },
    'CONFIG_TOO_LARGE robust.yaml: the file is larger than 1048576',
  ],
  'deep nesting': [{ yaml: `a: ${'['.repeat(5000)}` }, 'CONFIG_'],
  'deep but valid nesting': [{ yaml: `a: ${'['.repeat(100)}${']'.repeat(100)}` }, 'CONFIG_TOO_COMPLEX robust.yaml:1:'],
  'a prototype': [{ yaml: '__proto__: {data: x}' }, 'CONFIG_UNKNOWN_KEY robust.yaml:1:1: __proto__: there is no'],
  'a --set without a value': [
    { sets: ['admin.port'] },
    'CONFIG_OVERRIDE --set admin.port: it must look like path=value',
  ],
  'a --set through a value': [
    { sets: ['data=x', 'data.y=1'] },
    'CONFIG_OVERRIDE --set data.y=1: data.y: there is no such place',
  ],
  'a --set that is no setting': [
    { sets: ['admin.prot=1'] },
    'CONFIG_UNKNOWN_KEY --set admin.prot=1: admin.prot: there is no such setting. Did you mean port?',
  ],
  'a --set of a wrong type': [
    { sets: ['admin.port=abc'] },
    'CONFIG_TYPE --set admin.port=abc: admin.port: "abc" is not a whole number',
  ],
  'a variable of a wrong type': [
    { env: { ROBUST_ADMIN__PORT: 'abc' } },
    'CONFIG_TYPE ROBUST_ADMIN__PORT: admin.port: "abc" is not a whole number',
  ],
};

describe('a config that is wrong is refused with place, path, reason and suggestion:', () => {
  for (const [what, [given, message]] of Object.entries(wrong))
    test(what, async () => expect((await refusal(given)).startsWith(message), await refusal(given)).toBe(true));
});

test.each([
  [
    'two brokers on one port',
    'brokers: {mqtt: {port: 9092}, kafka: {}}',
    'CONFIG_VALUE robust.yaml:1:38: brokers.kafka.port: 9092 is the port of brokers.mqtt.port, too',
  ],
  [
    'a broker on the port of the admin',
    'brokers: {kafka: {port: 9644, host: 0.0.0.0}}',
    'CONFIG_VALUE robust.yaml:1:25: brokers.kafka.port: 9644 is the port of admin.port, too',
  ],
  [
    'two instances in one directory',
    'engines: {a: {use: local-file, dir: /x}, b: {use: local-file, dir: /x/}}',
    'CONFIG_VALUE robust.yaml:1:68: engines.b.dir: /x/ is the directory of engines.a.dir, too',
  ],
])('what two parts can not both have: %s', async (_, yaml, message) => {
  expect(await refusal({ yaml })).toContain(message);
});

test('port 0 is anybody, and so is one port on two addresses', async () => {
  await load({ yaml: 'admin: {port: 0}\nbrokers: {mqtt: {port: 0}, kafka: {port: 0}}' });
  await load({ yaml: 'brokers: {mqtt: {port: 7, host: 127.0.0.2}, kafka: {port: 7}}' });
});

test('a file that nests without end says so in our words', async () => {
  for (const yaml of ['['.repeat(20_000), '{a: '.repeat(3000) + '}'.repeat(3000), `${'- '.repeat(20_000)}x`])
    expect(await refusal({ yaml })).toMatch(/^CONFIG_TOO_COMPLEX robust\.yaml:1:1: the file is nested too deeply$/);
});

test('a bomb of aliases ends at a limit instead of filling the memory', async () => {
  const levels = Array.from({ length: 12 }, (_, i) => {
    const inner = i === 0 ? '"lol"' : `*l${i - 1}`;
    return `l${i}: &l${i} [${Array.from({ length: 10 }, () => inner).join(', ')}]`;
  });
  expect(await refusal({ yaml: levels.join('\n') })).toMatch(
    /^CONFIG_TOO_COMPLEX robust\.yaml:\d+:\d+: more than 20000/,
  );
});

test('an alias that contains itself ends at a limit', async () => {
  expect(await refusal({ yaml: 'a: &a [*a]' })).toMatch(/^CONFIG_(TOO_COMPLEX|SYNTAX) /);
});

test('aliases within reason work', async () => {
  const config = await load({ yaml: 'defaults: {retention: &keep {ms: 1h}}\ntopics: [{match: a, retention: *keep}]' });
  expect(config.policy.rules[0]?.overrides.retention).toEqual({ ms: 3_600_000 });
});

test('everything that is wrong is told at once', async () => {
  const found = await issues({ yaml: 'admin: {port: x}\nlog: {level: y}\nfoo: 1\n' });
  expect(found.map((issue) => issue.path).toSorted()).toEqual(['admin.port', 'foo', 'log.level']);
});

test('a file that is not there', async () => {
  const { loadConfig } = await import('@robustmq/core/config');
  const { brokerTable, engineTable } = await import('./fixture.ts');
  const gone = loadConfig({ file: 'gone.yaml', env: {}, cwd: '/', engines: engineTable, brokers: brokerTable });
  await expect(gone).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
  const folder = loadConfig({ file: '/', env: {}, cwd: '/', engines: engineTable, brokers: brokerTable });
  await expect(folder).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' });
  const device = loadConfig({ file: '/dev/zero', env: {}, cwd: '/', engines: engineTable, brokers: brokerTable });
  await expect(device).rejects.toThrow(/not a regular file/);
});
