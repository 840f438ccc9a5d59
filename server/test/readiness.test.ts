import type { Storage } from '@robustmq/core';
import type { MetaHealth } from '@robustmq/meta';
import { expect, test } from 'vitest';
import { Readiness } from '../src/node/readiness.ts';

const storage = { status: () => ({ ready: true, problems: [], engines: [], loops: [] }) } as unknown as Storage; // only this is asked for

test('a node whose Meta takes no commits is not ready, and says why, until Meta is well again', () => {
  let health: MetaHealth = { status: 'ok', detail: '' };
  const readiness = new Readiness();
  readiness.phase = 'running';
  readiness.storage = storage;
  readiness.meta = { health: () => health };
  expect(readiness.get().ready).toBe(true);
  health = { status: 'failed', detail: 'no space left' };
  expect(readiness.get()).toMatchObject({
    ready: false,
    problems: [{ code: 'META_UNAVAILABLE', where: 'meta', detail: 'no space left' }],
  });
  health = { status: 'ok', detail: '' };
  expect(readiness.get()).toMatchObject({ ready: true, problems: [] });
});
