import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Proof } from '@robustmq/conformance';
import { describe, expect, it } from 'vitest';
import { unshownCrashPoints } from '../tools/crash-points.ts';

const ROOT = join(import.meta.dirname, '..');

describe('npm run conformance', { timeout: 120_000 }, () => {
  it('says where the engines that it leaves out are proven', () => {
    const words = ['--disable-warning=ExperimentalWarning', 'tools/conformance.ts', '--only', 'SHARD-001'];
    const rows = execFileSync(process.execPath, words, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
    expect(rows.at(-1)).toBe('s3, hdfs: against real servers, by npm run test:native and npm run test:containers');
  });

  it('fails when an engine that must show its crash points shows none', () => {
    const ran = (facts: Proof['facts'], how: 'passed' | 'notClaimed') => {
      const card = { stage: 'engine', passed: [], failed: [], notClaimed: [], seconds: 1, facts } as const;
      return { cards: [{ ...card, [how]: ['SHARD-200'] }], facts };
    };
    const hidden = ran({ crashPoints: 'n/a' }, 'notClaimed');
    expect(unshownCrashPoints('local-file', hidden)).toMatch(/local-file shows no crash points \(n\/a\)/);
    expect(unshownCrashPoints('template', ran({}, 'notClaimed'))).toMatch(/template shows no crash points \(none\)/);
    expect(unshownCrashPoints('level', hidden)).toBeUndefined();
    expect(unshownCrashPoints('template', ran({ crashPoints: { tried: 3, of: 3 } }, 'passed'))).toBeUndefined();
    expect(unshownCrashPoints('template', { cards: [], facts: {} })).toBeUndefined();
  });
});
