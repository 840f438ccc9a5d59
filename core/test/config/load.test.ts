import { join } from 'node:path';
import { configLines } from '@robustmq/core/config';
import { expect, test } from 'vitest';
import { load } from './fixture.ts';

test('a single node needs no file: two engines, two brokers, every topic setting has a value', async () => {
  const config = await load({});
  expect(config.engines.map(({ name, use }) => [name, use])).toEqual([
    ['local', 'local-file'],
    ['memory', 'memory'],
  ]);
  expect(config.brokers.map(({ name, config }) => [name, config.port])).toEqual([
    ['mqtt', 1883],
    ['kafka', 9092],
  ]);
  expect(config.data).toBe(join(config.folder, 'data'));
  expect(config.admin).toEqual({ host: '127.0.0.1', port: 9644 });
  expect(config.policy).toEqual({
    rules: [],
    autoCreate: true,
    defaults: {
      engine: 'local',
      engineSettings: {},
      shards: 1,
      retention: { ms: 604_800_000, bytes: -1 },
      segment: { bytes: 134_217_728, ms: 86_400_000 },
      cleanup: 'delete',
      deleteRetentionMs: 86_400_000,
      archive: { to: 'none', after: 600_000, keepLocal: 3_600_000 },
      maxMessageBytes: 1_048_576,
    },
  });
});

test('durations and sizes are written as people write them, in core and in the settings of plug-ins', async () => {
  const config = await load({
    yaml: `
engines: {hot: {use: memory, limitBytes: 128MiB}, local: {idleMarkMs: 1s}}
topics:
  - {match: "orders.*", engine: hot, retention: {ms: 1h30m, bytes: 10GB}, segment: {ms: 250}}
  - {match: "*", retention: {ms: never}}
`,
  });
  expect(config.engines.map(({ name, config }) => [name, config])).toEqual([
    ['hot', { limitBytes: 134_217_728 }],
    ['local', { idleMarkMs: 1000 }],
    ['memory', { limitBytes: 67_108_864 }],
  ]);
  expect(config.policy.rules).toEqual([
    {
      match: 'orders.*',
      overrides: { engine: 'hot', retention: { ms: 5_400_000, bytes: 10_000_000_000 }, segment: { ms: 250 } },
    },
    { match: '*', overrides: { retention: { ms: -1 } } },
  ]);
});

test('flags win over the environment, the environment over the file, the file over defaults; each value tells its origin', async () => {
  const config = await load({
    yaml: 'admin:\n  port: 1\nnode: {id: 4}\nbrokers:\n  kafka:\n    port: 2\n    maxConnections: 5\n',
    env: {
      ROBUST_BROKERS__KAFKA__PORT: '3',
      ROBUST_BROKERS__KAFKA__MAX_CONNECTIONS: '6',
      ROBUST_NODE__ID: '7',
      HOME: '/',
    },
    sets: ['node.id=8'],
    data: 'elsewhere',
  });
  const origins = Object.fromEntries(configLines(config).map((line) => [line.path, [line.value, line.origin]]));
  expect(origins).toMatchObject({
    'admin.port': [1, 'robust.yaml:2:9'],
    'admin.host': ['127.0.0.1', 'default'],
    'brokers.kafka.port': [3, 'ROBUST_BROKERS__KAFKA__PORT'],
    'brokers.kafka.maxConnections': [6, 'ROBUST_BROKERS__KAFKA__MAX_CONNECTIONS'],
    'brokers.mqtt.port': [1883, 'default'],
    'node.id': [8, '--set node.id=8'],
    data: ['elsewhere', '--data elsewhere'],
  });
  expect(config.data).toBe(join(config.folder, 'elsewhere'));
});

test('--set reaches into lists and takes whole maps and lists', async () => {
  const config = await load({
    yaml: 'topics: [{match: a}]',
    sets: ['topics.0.engine=memory', 'topics[1]={match: b, shards: 3}', 'engines.x={use: memory, limitBytes: 1MiB}'],
  });
  expect(config.policy.rules).toEqual([
    { match: 'a', overrides: { engine: 'memory' } },
    { match: 'b', overrides: { shards: 3 } },
  ]);
  expect(config.engines.find(({ name }) => name === 'x')?.config).toEqual({ limitBytes: 1_048_576 });
});

test('an environment variable that is no setting is ignored with a warning', async () => {
  const config = await load({ env: { ROBUST_ADMIN__PROT: '1', ROBUST_BROKERS__KAFKA__PROT: '2' } });
  expect(config.warnings).toEqual([
    'ROBUST_ADMIN__PROT: admin.prot: there is no such setting. Did you mean port? (ignored)',
    'ROBUST_BROKERS__KAFKA__PROT: brokers.kafka.prot: there is no such setting. Did you mean port? (ignored)',
  ]);
  expect(config.admin.port).toBe(9644);
});

test('enabled: false switches a broker off', async () => {
  const config = await load({ yaml: 'brokers: {mqtt: {enabled: false}}' });
  expect(config.brokers.map(({ name }) => name)).toEqual(['kafka']);
  expect(config.brokers[0]?.config).not.toHaveProperty('enabled');
});

test('a relative data directory in the file counts from the folder of the file', async () => {
  const config = await load({ yaml: 'data: ./store' });
  expect(config.data).toBe(join(config.folder, 'store'));
});

test('an empty file is a file without settings', async () => {
  expect((await load({ yaml: '# nothing\n' })).admin.port).toBe(9644);
});

test('a number named ...Ms or ...Bytes takes units even where the schema does not say so', async () => {
  const config = await load({ yaml: 'brokers: {kafka: {idleTimeoutMs: 10m}}' });
  expect(config.brokers.find(({ name }) => name === 'kafka')?.config.idleTimeoutMs).toBe(600_000);
});
