import { describe, expect, test } from 'vitest';
import { command } from './node-fixture.ts';

const COLD = ['--set', 'engines.cold.use=s3', '--set', 'engines.cold.bucket=archive'];

async function forecasts(...words: string[]) {
  const { code, out, error } = await command(['cost', ...COLD, '--json', ...words]);
  expect(code, error).toBe(0);
  const { forecasts: lines } = JSON.parse(out);
  return (how: string, instance = 'cold') =>
    lines.find((line: { how: string; instance: string }) => line.how === how && line.instance === instance).forecast;
}

test('says what a load costs on each engine, written and archived', async () => {
  const words = ['cost', ...COLD, '--load', '2MiB/s', '--nodes', '3', '--topics', '40'];
  const { code, out, error } = await command(words);
  expect(code, error).toBe(0);
  expect(out).toMatch(/^cold, written: 3 nodes, 40 topics, 2MiB\/s: [\d,]+ PUT\/h, \$[\d,.]+ a month$/m);
  expect(out).toMatch(/^cold, archived: 3 nodes, 40 topics, 2MiB\/s: [\d,]+ PUT\/h, \$[\d,.]+ a month$/m);
  expect(out).toMatch(/^local +local-file +written +0 +0 +0\.00 +[\d,]+\.\d\d \([\d.]+ GiB\) +[1-9]/m);
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

describe('a topic with an archive', () => {
  const HOUR = 2 * 2 ** 20 * 3600;
  const rule = (archive: string) => ['--set', `topics=[{match: "orders.*", retention: {ms: 7d}, archive: ${archive}}]`];
  const kept = async (archive: string, ...words: string[]) => {
    const asked = ['cost', ...COLD, '--json', '--load', '2MiB/s', ...rule(archive), '--topic', 'orders.eu', ...words];
    const { code, out, error } = await command(asked);
    expect(code, error).toBe(0);
    return JSON.parse(out).kept;
  };

  test('is told first, as it is configured: the newest on its own engine, the rest in the archive, and the sum', async () => {
    const words = ['--load', '2MiB/s', ...rule('{to: cold, after: 10m, keepLocal: 1h}'), '--topic', 'orders.eu'];
    const { code, out, error } = await command(['cost', ...COLD, ...words]);
    expect(code, error).toBe(0);
    const told =
      /^As configured for topic orders\.eu: 1 node, 1 topic, 2MiB\/s: \$([\d.]+) a month: the newest 1h on local \$([\d.]+), what is older than 10m in cold \$([\d.]+)\n/.exec(
        out,
      );
    const [, sum, local, cold] = (told ?? []).map(Number);
    expect(sum).toBeGreaterThan(0);
    expect((local ?? 0) + (cold ?? 0)).toBeCloseTo(sum ?? 0, 1);
    expect(out).toMatch(/^local +local-file +newest 1h +0 +0 /m);
    expect(out).toMatch(/^cold +s3 +older than 10m +[1-9]/m);
  });

  test('has its newest for the longer of after and keepLocal, and what is older than after in the archive', async () => {
    const { local, archive, perMonth } = await kept('{to: cold, after: 10m, keepLocal: 1h}');
    const empty = (await forecasts('--load', '1B/s', '--retention', '1s'))('written', 'local').storedBytes;
    expect(local).toMatchObject({ instance: 'local', how: 'written' });
    expect(local.forecast.storedBytes).toBeCloseTo(HOUR + empty, -1);
    expect(archive).toMatchObject({ instance: 'cold', how: 'archived' });
    // the 50 minutes between are in both
    expect(archive.forecast.storedBytes).toBe((7 * 24 - 1 / 6) * HOUR);
    const totals = [local, archive].map(({ forecast }) => forecast.requestsPerMonth + forecast.storagePerMonth);
    expect(perMonth).toBeCloseTo((totals[0] ?? 0) + (totals[1] ?? 0));

    const late = await kept('{to: cold, after: 2h, keepLocal: 1h}');
    expect(late.local.forecast.storedBytes).toBeCloseTo(2 * HOUR + empty, -1);
    expect(late.archive.forecast.storedBytes).toBe((7 * 24 - 2) * HOUR);
    const short = await kept('{to: cold, after: 1h, keepLocal: 30d}', '--retention', '2h');
    expect(short.local.forecast.storedBytes).toBeCloseTo(2 * HOUR + empty, -1);
    expect(short.archive.forecast.storedBytes).toBe(HOUR);
  });

  test('has no such line where nothing is archived, or nothing gets old enough', async () => {
    expect(await kept('{to: none}')).toBeUndefined();
    expect(await kept('{to: cold, after: 2h}', '--retention', '2h')).toBeUndefined();
    const { out } = await command(['cost', ...COLD, '--load', '2MiB/s']);
    expect(out).not.toContain('As configured');
  });
});

test('compares engines for the same load, at list prices', async () => {
  const engines = [
    ['memory', { limitBytes: '1GiB' }],
    ['local-file', { walFiles: 4 }],
    ['hdfs', { nameNodes: '["http://nn1:9870"]', path: '/robust' }],
  ] as const;
  const sets = engines.flatMap(([use, settings]) =>
    Object.entries({ use, ...settings }).flatMap(([key, value]) => ['--set', `engines.my-${use}.${key}=${value}`]),
  );
  const load = ['--load', '2MiB/s', '--nodes', '2', ...sets];
  const plain = await forecasts(...load);
  const held = 2 * 2 ** 20 * 7 * 86_400;
  const ofMonth = (use: string) => {
    const { storedBytes, storagePerMonth } = plain('written', use);
    return { storedBytes, perGb: (storagePerMonth * 1e9) / storedBytes };
  };
  expect(ofMonth('cold')).toEqual({ storedBytes: held, perGb: expect.closeTo(0.023) });
  expect(ofMonth('my-hdfs')).toEqual({ storedBytes: held, perGb: expect.closeTo(0.135) });
  // beside the segments each node has the files of its write-ahead log
  expect(ofMonth('my-local-file')).toEqual({ storedBytes: held + 2 * 4 * 2 ** 26, perGb: expect.closeTo(0.08) });
  // what does not fit is not kept
  expect(ofMonth('my-memory')).toEqual({ storedBytes: 2 * 2 ** 30, perGb: expect.closeTo(4.9) });
  const dear = await forecasts(...load, '--set', 'engines.my-local-file.prices.perGbMonth=0.8');
  expect(dear('written', 'my-local-file').storagePerMonth).toBeCloseTo(
    10 * plain('written', 'my-local-file').storagePerMonth,
  );
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
