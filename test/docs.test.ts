import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { silentLogger } from '@robustmq/core';
import { CORE_SCHEMA, loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, startNode } from '@robustmq/server';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../server/src/errors-explained.ts';
import { codesInSource, filesBelow, metricNamesInSource, metricsInSource, pages, ROOT } from '../tools/docs.ts';

describe('the pages that follow from the source are what `npm run docs` writes:', async () => {
  for (const { path, text } of await pages())
    test(path, () =>
      expect(readFileSync(join(ROOT, path), 'utf8') === text, `${path} is behind: run npm run docs`).toBe(true),
    );
});

test('every error code of the source is explained, and every explained code is in the source', () => {
  expect([...codesInSource()].toSorted()).toEqual(Object.keys(ERRORS).toSorted());
});

test('every metric of the source has a help text that the scan finds', () => {
  const described = new Set(metricsInSource().map(({ name }) => name));
  expect([...metricNamesInSource()].filter((name) => !described.has(name))).toEqual([]);
});

test('every metric of a running node is on the page, with its type', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'robust-docs-'));
  const sets = ['admin.port=0', 'brokers.mqtt.port=0', 'brokers.kafka.port=0'];
  const config = await loadConfig({
    env: {},
    cwd: folder,
    sets,
    engines: FIRST_PARTY_ENGINES,
    brokers: FIRST_PARTY_BROKERS,
  });
  const node = await startNode(config, { logger: silentLogger });
  try {
    const types = [...(await node.metrics.text()).matchAll(/^# TYPE (robust_\w+) (\w+)$/gm)];
    expect(types.length).toBeGreaterThan(10);
    const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
    for (const [, name, type] of types) expect(page).toContain(`| \`${name}\` | ${type} |`);
  } finally {
    await node.stop();
    await rm(folder, { recursive: true });
  }
});

test('every setting of core has a description', () => {
  const bare: string[] = [];
  const walk = (properties: Readonly<Record<string, Record<string, unknown>>>, path: string): void => {
    for (const [name, { description, properties: inner }] of Object.entries(properties)) {
      if (typeof description !== 'string' || description === '') bare.push(path + name);
      // keywords of our own schema
      if (inner !== undefined) walk(inner as typeof properties, `${path}${name}.`);
    }
  };
  walk(CORE_SCHEMA.properties as Parameters<typeof walk>[0], '');
  expect(bare).toEqual([]);
});

test('links between our own pages lead somewhere', () => {
  const markdown = [
    ...filesBelow(join(ROOT, 'docs')),
    ...['README.md', 'CONTRIBUTING.md'].map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })),
  ];
  const broken = markdown
    .filter(({ path }) => path.endsWith('.md'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(ROOT, dirname(path), target)))
        .map((target) => `${path} -> ${target}`),
    );
  expect(broken).toEqual([]);
});
