import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('compares engines on the same work, in a table and a chart', { timeout: 120_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'robust-bench-test-'));
  try {
    const words = [
      'memory',
      '--seconds',
      '0.01',
      '--repeat',
      '1',
      '--segments',
      '2',
      '--in-flight',
      '4',
      '--dir',
      dir,
      '--svg',
      join(dir, 'chart.svg'),
    ];
    const bench = join(import.meta.dirname, 'engine.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [bench, ...words], { cwd: dir });
    expect(stdout).toMatch(/append 1 KiB, 4 in flight, 2 segments +[\d,.]+ records\/s +[\d,.]+ records\/s \([\d.]+\)/);
    expect(stdout).toMatch(/start and recover 16 MiB +[\d,.]+ ms +n\/a/);
    const svg = await readFile(join(dir, 'chart.svg'), 'utf8');
    expect(svg).toMatch(
      /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[\s\S]*<rect[\s\S]*read in order[\s\S]*<\/svg>\n$/,
    );
  } finally {
    await rm(dir, { recursive: true });
  }
});
