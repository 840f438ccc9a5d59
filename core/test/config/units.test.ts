import { formatUnit, parseUnit } from '@robustmq/core/config';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test.each([
  ['ms', '10m', 600_000],
  ['ms', '1h30m', 5_400_000],
  ['ms', '1.5s', 1500],
  ['ms', '250', 250],
  ['ms', '7d', 604_800_000],
  ['ms', 'never', -1],
  ['bytes', '128MiB', 134_217_728],
  ['bytes', '10 GB', 10_000_000_000],
  ['bytes', '64kib', 65_536],
  ['bytes', '7B', 7],
  ['bytes', 'unlimited', -1],
] as const)('%s: %s is %d', (unit, text, value) => expect(parseUnit(unit, text)).toBe(value));

test.each([
  ['ms', '10 minutes'],
  ['ms', '10mm'],
  ['ms', ''],
  ['ms', '-5s'],
  ['ms', `${'9'.repeat(30)}d`],
  ['bytes', '10 parsecs'],
  ['bytes', 'MiB'],
  ['bytes', '1e9'],
] as const)('%s: %j is none', (unit, text) => expect(parseUnit(unit, text)).toBeUndefined());

test('what is formatted parses to the same number', () => {
  fc.assert(
    fc.property(fc.constantFrom('ms' as const, 'bytes' as const), fc.nat({ max: 2 ** 45 }), (unit, value) => {
      expect(parseUnit(unit, formatUnit(unit, value))).toBe(value);
    }),
  );
});
