import { composeSchema } from '@robustmq/core/config';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { fileEngine, memoryEngine } from './fixture.ts';

const schema = composeSchema({
  engines: new Map([
    ['local-file', fileEngine.configSchema],
    ['memory', memoryEngine.configSchema],
  ]),
  brokers: new Map(),
});
// strict: an editor's validator must understand all of it
const validate = new Ajv({ strictTypes: false }).compile(schema);

test('the composed schema is plain draft-07, without keywords of our own', () => {
  expect(JSON.stringify(schema)).not.toContain('"unit"');
  expect(validate({ data: './x', defaults: { retention: { ms: '7d' }, segment: { bytes: 4096 } } })).toBe(true);
  expect(validate({ defaults: { retention: { ms: 'a week' } } })).toBe(false);
});

test('it knows the settings of each engine by its use', () => {
  expect(validate({ engines: { hot: { use: 'memory', limitBytes: '1MiB' }, local: { dir: '/x' } } })).toBe(true);
  expect(validate({ engines: { hot: { use: 'memory', dir: '/x' } } })).toBe(false);
  expect(validate({ engines: { local: { limitBytes: 1 } } })).toBe(false);
  expect(validate({ engines: { mine: { use: './mine.js', whatever: 1 } } })).toBe(true);
});
