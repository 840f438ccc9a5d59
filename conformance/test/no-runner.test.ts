import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** A reader waits for records here, and nothing but a timer that keeps no process alive is left to wait for. */
const PROGRAM = `
import { openShardWorld, runScorecard } from '@robustmq/conformance';
import engine from '@robustmq/engine-memory';
const open = () => openShardWorld(engine, { config: { limitBytes: 33554432 } });
const card = await runScorecard(engine, { kind: 'shard', open }, { only: ['SHARD-162'] });
console.log(card.passed.join());
`;

test('a check that only waits is not cut short by a process that has nothing else to do', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    cwd: import.meta.dirname,
  });
  expect(stdout).toBe('SHARD-162\n');
});
