import { conformance } from '@robustmq/conformance';
import memory from '@robustmq/engine-memory';
import { describe, expect, it } from 'vitest';
import { node } from './cli/process.ts';

describe('with vitest', () => {
  conformance({ describe, it, engine: memory, effort: 0.05 });
});

// from the command line: cli/cli.test.ts
it('runs with node:test, which counts a test for each promise', { timeout: 120_000 }, async () => {
  const file = new URL('node-test/memory.ts', import.meta.url).pathname;
  const { code, stdout } = await node(['--test', '--test-reporter=tap', file]);
  expect(code, stdout).toBe(0);
  expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(90);
  expect(stdout).toMatch(/ok \d+ - SHARD-001 MUST /);
});
