import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadBroker, loadEngine } from '@robustmq/core/config';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load, refusal } from '../config/fixture.ts';

let from = '';
const table = new Map([['own', async (): Promise<unknown> => ({ default: { name: 'own' } })]]);

const definition = (fields: Readonly<Record<string, string>> = {}): string => {
  const all = {
    name: "'mine'",
    apiVersion: '0.1',
    version: "'1.0.0'",
    configSchema:
      "{ type: 'object', additionalProperties: false, properties: { size: { type: 'integer', unit: 'bytes' } } }",
    capabilities: "{ durability: 'none', placement: 'node', append: true, maxBatchBytes: 1048576 }",
    open: 'async () => {}',
    ...fields,
  };
  return `{ ${Object.entries(all)
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')} }`;
};

const esm = (fields?: Readonly<Record<string, string>>): string => `export default ${definition(fields)};`;

const files: Readonly<Record<string, string>> = {
  'good.mjs': esm(),
  'typed.ts': `const d: object = ${definition()};\nexport default d;`,
  'folder/package.json': '{"type":"module","exports":{"import":"./lib.js"}}',
  'folder/lib.js': esm(),
  'throws.mjs': "throw new Error('no disk today');",
  'needs.mjs': "import 'a-package-that-is-not-there';",
  'syntax.mjs': 'export default {',
  'nothing.mjs': 'export const engine = {};',
  'number.mjs': 'export default 7;',
  'newer.mjs': `export default { name: 'mine', apiVersion: 99 };`,
  'older.mjs': esm({ apiVersion: '0.01' }),
  'unversioned.mjs': esm({ apiVersion: 'undefined' }),
  'nameless.mjs': esm({ name: 'undefined' }),
  'clash.mjs': esm({ name: "'own'" }),
  'closed.mjs': esm({ open: '5' }),
  'loose.mjs': esm({ configSchema: "{ type: 'object' }" }),
  'schema.mjs': esm({
    configSchema: "{ type: 'object', additionalProperties: false, properties: { a: { tpye: 'x' } } }",
  }),
  'durable.mjs': esm({
    capabilities: "{ durability: 'very', placement: 'node', append: true, maxBatchBytes: 1048576 }",
  }),
  'small.mjs': esm({ capabilities: "{ durability: 'none', placement: 'node', append: true, maxBatchBytes: 10 }" }),
  'broker.mjs': esm({ capabilities: 'undefined' }),
  'node_modules/robust-engine-esm/package.json':
    '{"name":"robust-engine-esm","type":"module","exports":{".":{"import":"./e.js"}}}',
  'node_modules/robust-engine-esm/e.js': esm({ name: "'esm'" }),
  'node_modules/robust-engine-cjs/package.json': '{"name":"robust-engine-cjs","main":"lib/e"}',
  'node_modules/robust-engine-cjs/lib/e.js': `Object.defineProperty(exports, '__esModule', { value: true });\nexports.default = ${definition({ name: "'cjs'" })};`,
  'node_modules/robust-engine-liar/package.json': '{"name":"robust-engine-liar","type":"module","main":"e.js"}',
  'node_modules/robust-engine-liar/e.js': esm({ name: "'other'" }),
  'node_modules/@me/store/package.json': '{"name":"@me/store","type":"module","main":"e.js"}',
  'node_modules/@me/store/e.js': esm(),
  'node_modules/plain/package.json': '{"name":"plain","type":"module"}',
  'node_modules/plain/index.js': esm(),
  'node_modules/robust-engine-broken/package.json': '{"name": broken',
  'node_modules/robust-broker-amqp/package.json': '{"name":"robust-broker-amqp","type":"module","main":"b.js"}',
  'node_modules/robust-broker-amqp/b.js': esm({ name: "'amqp'", capabilities: 'undefined' }),
};

beforeAll(() => {
  from = mkdtempSync(join(tmpdir(), 'robust-plugins-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(from, name)), { recursive: true });
    writeFileSync(join(from, name), text);
  }
  cpSync(join(from, 'good.mjs'), join(from, 'folder/index.mjs'));
});

afterAll(() => rmSync(from, { recursive: true }));

const failure = async (use: string): Promise<string> => {
  try {
    await loadEngine(use, { from, table });
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint?: string };
    return `${code} ${message.replaceAll(from, '')} ${hint ?? ''}`;
  }
  throw new Error('expected a failure');
};

describe('a plug-in is found as', () => {
  test.each([
    ['a file', './good.mjs', 'mine'],
    ['a TypeScript file', './typed.ts', 'mine'],
    ['a folder', './folder', 'mine'],
    ['robust-engine-x that exports ESM only', 'esm', 'esm'],
    ['robust-engine-x in CommonJS', 'cjs', 'cjs'],
    ['a package of a scope', '@me/store', 'mine'],
    ['a package without exports or main', 'plain', 'mine'],
  ])('%s', async (_, use, name) => {
    expect((await loadEngine(use, { from, table })).definition.name).toBe(name);
  });

  test('robust-broker-x, for brokers', async () => {
    expect((await loadBroker('amqp', { from, table })).definition.name).toBe('amqp');
  });
});

describe('each way to go wrong has an error of its own:', () => {
  test.each([
    [
      './gone.mjs',
      /^PLUGIN_NOT_FOUND there is no engine ".\/gone.mjs": tried the server's own \(own\), then \/gone.mjs Install/,
    ],
    [
      'gone',
      /^PLUGIN_NOT_FOUND there is no engine "gone": tried .*, then package robust-engine-gone, then package gone /,
    ],
    ['data:text/javascript,1', /^PLUGIN_NOT_FOUND /],
    ['broken', /^PLUGIN_NOT_FOUND /],
    ['./throws.mjs', /^PLUGIN_LOAD_FAILED .* failed while it was loaded: no disk today/],
    ['./needs.mjs', /^PLUGIN_LOAD_FAILED .*a-package-that-is-not-there/],
    ['./syntax.mjs', /^PLUGIN_LOAD_FAILED /],
    ['./nothing.mjs', /^PLUGIN_NO_EXPORT .* It must say: export default defineEngine/],
    ['./number.mjs', /^PLUGIN_NO_EXPORT /],
    ['./newer.mjs', /^PLUGIN_API_VERSION .* was written for engine API 99, this server serves 0.1 Upgrade the server/],
    ['./older.mjs', /^PLUGIN_API_VERSION .* Upgrade the plug-in/],
    ['./unversioned.mjs', /^PLUGIN_INVALID .*: apiVersion is not a number/],
    ['./nameless.mjs', /^PLUGIN_INVALID .*: name is not/],
    ['./closed.mjs', /^PLUGIN_INVALID .*: open is not a function/],
    ['./loose.mjs', /^PLUGIN_INVALID .*: configSchema.additionalProperties is not false/],
    ['./durable.mjs', /^PLUGIN_INVALID .*: capabilities.durability is not one of none, fsync/],
    ['./small.mjs', /^PLUGIN_INVALID .*: capabilities.maxBatchBytes is not a number of at least 1048576/],
    ['./broker.mjs', /^PLUGIN_INVALID .*: capabilities is missing/],
    ['./clash.mjs', /^PLUGIN_NAME_CLASH .* calls itself "own"/],
    ['liar', /^PLUGIN_INVALID .*: name is "other", expected "liar"/],
  ])('%s', async (use, message) => expect(await failure(use)).toMatch(message));

  test('the cause is kept', async () => {
    await expect(loadEngine('./throws.mjs', { from, table })).rejects.toMatchObject({
      cause: expect.objectContaining({ message: 'no disk today' }),
    });
  });
});

describe('in a config', () => {
  const mine = { 'mine.mjs': esm() };

  test('a path counts from the file, and its settings are checked by its schema, units too', async () => {
    const config = await load({ yaml: 'engines: {x: {use: ./mine.mjs, size: 2KiB}}', files: mine });
    expect(config.engines.find(({ name }) => name === 'x')?.config).toEqual({ size: 2048 });
    expect(await refusal({ yaml: 'engines: {x: {use: ./mine.mjs, sise: 2KiB}}', files: mine })).toBe(
      'CONFIG_UNKNOWN_KEY robust.yaml:1:32: engines.x.sise: there is no such setting. Did you mean size?',
    );
  });

  test('a plug-in that fails tells where it was named', async () => {
    await expect(load({ yaml: 'engines:\n  x: {use: ./gone.mjs}' })).rejects.toMatchObject({
      code: 'PLUGIN_NOT_FOUND',
      message: expect.stringMatching(/^robust.yaml:2:12: engines.x.use: there is no engine/),
    });
  });

  test('a schema that is wrong is the fault of the plug-in', async () => {
    const files = {
      'mine.mjs': esm({
        configSchema: "{ type: 'object', additionalProperties: false, properties: { a: { type: 'x' } } }",
      }),
    };
    await expect(load({ yaml: 'engines: {x: {use: ./mine.mjs}}', files })).rejects.toMatchObject({
      code: 'PLUGIN_INVALID',
    });
  });

  test('two plug-ins of one name are refused', async () => {
    const files = { 'a.mjs': esm(), 'b.mjs': esm() };
    await expect(load({ yaml: 'engines: {x: {use: ./a.mjs}, y: {use: ./b.mjs}}', files })).rejects.toMatchObject({
      code: 'PLUGIN_NAME_CLASH',
    });
  });
});
