import { expect, test } from 'vitest';
import { command } from './node-fixture.ts';

const COLD = ['--set', 'engines.cold.use=s3', '--set', 'engines.cold.bucket=archive'];

async function forecasts(...words: string[]) {
  const { code, out, error } = await command(['cost', ...COLD, '--json', ...words]);
  expect(code, error).toBe(0);
  const { forecasts: lines } = JSON.parse(out);
  return (how: string) => lines.find((line: { how: string }) => line.how === how).forecast;
}

test('says what a load costs on each engine, written and archived, and which are not priced', async () => {
  const words = ['cost', ...COLD, '--load', '2MiB/s', '--nodes', '3', '--topics', '40'];
  const { code, out, error } = await command(words);
  expect(code, error).toBe(0);
  expect(out).toMatch(/^cold, written: 3 nodes, 40 topics, 2MiB\/s: [\d,]+ PUT\/h, \$[\d,.]+ a month$/m);
  expect(out).toMatch(/^cold, archived: 3 nodes, 40 topics, 2MiB\/s: [\d,]+ PUT\/h, \$[\d,.]+ a month$/m);
  expect(out).toMatch(/^local +local-file .*not priced/m);
  expect(out).toContain('Kept for 7d.');
});

test('goes by the load, the prices, the budget and the settings of the topic', async () => {
  const plain = await forecasts('--load', '2MiB/s');
  expect((await forecasts('--load', '4MiB/s'))('written').storedBytes).toBe(2 * plain('written').storedBytes);
  expect(plain('archived').putsPerHour).toBeLessThan(plain('written').putsPerHour / 10);
  const dear = await forecasts('--load', '2MiB/s', '--set', 'engines.cold.prices.perGbMonth=1');
  expect(dear('written').storagePerMonth).toBeCloseTo(plain('written').storedBytes / 1e9, 6);
  const poor = await forecasts('--load', '2MiB/s', '--set', 'engines.cold.requestBudget.putsPerHour=60');
  expect(poor('written')).toMatchObject({ putsPerHour: 60, isThrottled: true });
  const month = await forecasts('--load', '2MiB/s', '--retention', '70d');
  expect(month('written').storedBytes).toBe(10 * plain('written').storedBytes);

  // the rule that a topic of this name comes under
  const rule = ['--set', 'topics=[{match: "orders.*", retention: {ms: 1d}, archive: {to: cold, after: 1h}}]'];
  const ruled = await forecasts('--load', '2MiB/s', ...rule, '--topic', 'orders.eu');
  expect(ruled('written').storedBytes).toBeCloseTo(plain('written').storedBytes / 7, 0);
  const many = ['--load', '2MiB/s', '--topics', '100'];
  const later = await forecasts(...many, ...rule, '--topic', 'orders.eu');
  expect(later('archived').getsPerHour).toBeLessThan((await forecasts(...many))('archived').getsPerHour / 2);
  expect((await forecasts('--load', '2MiB/s', ...rule, '--topic', 'bills'))('written')).toEqual(plain('written'));
});

test.each([
  ['no load', [], /cost needs a load.*Such as --load 2MiB\/s/s],
  ['a load that is none', ['--load', 'much'], /--load can't be "much"/],
  ['no node', ['--load', '1MiB/s', '--nodes', '0'], /--nodes can't be "0"/],
  ['a record of nothing', ['--load', '1MiB/s', '--record', '0'], /--record can't be "0"/],
  ['a time that is none', ['--load', '1MiB/s', '--retention', 'soon'], /--retention can't be "soon"/],
])('refuses %s', async (_, words, message) => {
  const { code, error } = await command(['cost', ...COLD, ...words]);
  expect(error).toMatch(message);
  expect(code).toBe(2);
});
