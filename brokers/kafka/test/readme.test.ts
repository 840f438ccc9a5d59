import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { apis } from '../src/api/registry.ts';
import { DEFAULT_SETTINGS, settingsSchema } from '../src/settings.ts';
import { TOPIC_CONFIGS } from '../src/topic-configs.ts';

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');

describe('the README', () => {
  it('lists each API with the versions that are served, and no other', () => {
    const listed = [...readme.matchAll(/^\| (\d+) \| (\w+) \| (\S+) \|/gm)].map(
      ([, key, name, range]) => `${key} ${name} ${range}`,
    );
    expect(listed).toEqual([...apis].map(([key, { api, min, max }]) => `${key} ${api.name} ${min}-${max}`));
  });

  it('lists each topic config', () => {
    for (const { name } of TOPIC_CONFIGS) expect(readme).toContain(`\`${name}\``);
  });
});

it('the defaults of the settings are those of their schema', () => {
  const properties = settingsSchema.properties as Record<string, { default?: unknown }>;
  const defaults = Object.entries(properties).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, value]],
  );
  expect(Object.fromEntries(defaults)).toEqual(DEFAULT_SETTINGS);
});
