import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { withoutReaper } from '../real/docker-images.ts';
import { minioImage } from '../real/s3-container.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/conformance-in-a-container');
/** Of all kinds: of an engine and of a shard, with restarts, lost replies, kill -9. All there are run over a container elsewhere. */
const SOME = ['001', '012', '040', '100', '150', '152', '210', '213', '240'];

test('examples/conformance-in-a-container proves an engine against a server in a container', async () => {
  await withoutReaper();
  const { NODE_TEST_CONTEXT: _, VITEST: __, ...env } = process.env;
  const words = ['--test', '--test-reporter=tap', `--test-name-pattern=SHARD-(${SOME.join('|')}) `];
  const { stdout } = await promisify(execFile)(process.execPath, words, {
    cwd: EXAMPLE,
    env: { ...env, MINIO_IMAGE: await minioImage(), ROBUST_CONFORMANCE_EFFORT: '0.05' },
    maxBuffer: 16 * 1024 * 1024,
  });
  expect(stdout).toMatch(/^# fail 0$/m);
  const passed = new Set(stdout.match(/(?<=^ +ok \d+ - SHARD-)\d+/gm));
  expect([...passed].sort()).toEqual(SOME);
});
