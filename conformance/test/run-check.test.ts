import { checks, runCheck } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import engine from '@robustmq/engine-memory';
import { expect, test } from 'vitest';

test('a check whose engine never opens fails instead of waiting for ever', async () => {
  const check = checks.find(({ id, subject }) => id === 'SHARD-001' && subject === 'log');
  if (check === undefined) throw new Error('SHARD-001 is a check of a log');
  const stage = { kind: 'engine', open: () => new Promise<never>(() => {}) } as const;
  // hands of the suite do not look at a schema's type
  const ran = runCheck({ ...check, timeoutMs: 10 }, engine as EngineDefinition, stage);
  await expect(ran).rejects.toThrow(/SHARD-001 MUST .*open did not end within 10 ms/);
});
