import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandFor, runAgain } from '../../src/run-again.ts';
import { changed, emptyFolder } from './engines.ts';
import { BIN, node } from './process.ts';

describe('the line that runs it again', { timeout: 120_000 }, () => {
  it('is by the name of the package, and each word of it is one word to a shell', () => {
    const command = commandFor({
      module: "./it's mine/$HOME.ts",
      config: 'my settings.yaml',
      service: { host: '::1', port: 9 },
    });
    const words = execFileSync(
      'sh',
      ['-c', `printf '%s\\n' ${runAgain(command, { id: 'SHARD-001', seed: 7, effort: 1 })}`],
      { encoding: 'utf8' },
    );
    expect(words.trim().split('\n')).toEqual([
      ...['npx', '@robustmq/conformance', "./it's mine/$HOME.ts"],
      ...['--config', 'my settings.yaml', '--service', '[::1]:9', '--only', 'SHARD-001', '--seed', '7'],
    ]);
  });

  it('names the module of a test as a path, and an effort without which less is looked at', () => {
    const command = commandFor({ module: new URL('./engines.ts', import.meta.url).href });
    expect(runAgain(command, { id: 'SHARD-222', seed: 1, effort: 20 })).toMatch(
      /^ROBUST_CONFORMANCE_EFFORT=20 npx @robustmq\/conformance \.\/\S*test\/cli\/engines\.ts --only SHARD-222 --seed 1$/,
    );
  });

  it('shows a failure of the model again, the same calls, at once', async () => {
    await using place = await emptyFolder();
    mkdirSync(join(place.dir, 'an engine'));
    await place.write('an engine/index.mjs', CUTS_AT_TIMES);
    const first = await node([BIN, './an engine/index.mjs', '--only', '230', '--seed', '3'], {
      cwd: place.dir,
      env: LONGER,
    });
    const [, line = '', seed] = /^ {2}run {3}npx @robustmq\/conformance (.* --seed (\d+))$/m.exec(first.stdout) ?? [];
    expect(first.stdout).toContain(`Again: --seed ${seed}`);
    expect(seed).not.toBe('3');
    const replay = `exec '${process.execPath}' '${BIN}' ${line}`;
    const again = await node(['-e', spawning(replay)], { cwd: place.dir, env: LONGER });
    expect(again.stdout).toContain(`Again: --seed ${seed}`);
    expect(callsIn(again.stdout)).toEqual(callsIn(first.stdout));
    expect(callsIn(first.stdout)).not.toEqual([]);
  });
});

/** Rare enough that it is not the first sequence, made from the seed of the run, that meets it. */
const CUTS_AT_TIMES = changed(
  '',
  `
  const recover = engine.recover.bind(engine);
  engine.recover = async (id, options) => {
    const { end } = await recover(id, options);
    return { end: end % 13 === 12 ? end - 1 : end };
  };`,
);

const LONGER = { ROBUST_CONFORMANCE_EFFORT: '1' };

function spawning(line: string): string {
  return `process.exitCode = require('node:child_process').spawnSync(${JSON.stringify(line)}, { shell: true, stdio: 'inherit' }).status`;
}

function callsIn(card: string): string[] {
  return card.split('\n').filter((line) => /^ +\d+\. \w+ \{/.test(line));
}
