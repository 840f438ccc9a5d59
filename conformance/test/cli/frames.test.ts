import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../../src/cli/frames.ts';
import { changed, emptyFolder } from './engines.ts';
import { BIN, node } from './process.ts';

const ROOT = join(import.meta.dirname, '../../..');
const THROWS = changed('', '\nengine.list = async () => { throw new TypeError("oh"); };');

describe('the lines that a failure leads to', { timeout: 60_000 }, () => {
  it.each([
    ['an engine that is installed, by its name', 'node_modules/robust-engine-mine/dist/index.js', 'robust-engine-mine'],
    ['an engine in a core/src of its own', 'core/src/index.mjs', './core/src/index.mjs'],
    ['an engine below a folder with a space', 'my engines/index.mjs', './my engines/index.mjs'],
  ])('are those of %s', async (_, file, module) => {
    await using place = await emptyFolder('installed');
    const path = join(place.dir, file);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, THROWS);
    if (module === 'robust-engine-mine')
      writeFileSync(
        join(place.dir, 'node_modules/robust-engine-mine/package.json'),
        '{ "name": "robust-engine-mine", "version": "1.0.0", "type": "module", "exports": "./dist/index.js" }',
      );
    const { stdout } = await node([BIN, module, '--only', '102', '--json'], { cwd: place.dir });
    const [failure] = JSON.parse(stdout).failures;
    expect(failure.at[0]).toContain(`${file}:8:`);
    expect(failure.at.join('\n')).not.toMatch(/conformance\/|@robustmq\/core/);
  });

  it("are the engine's own before those of a package that it uses, those of the package else", () => {
    const engine = pathToFileURL(join(ROOT, 'engines/memory/src/index.ts')).href;
    const own = `    at open (${engine}:3:1)`;
    const used = `    at used (${ROOT}/engines/memory/node_modules/some-library/index.js:9:1)`;
    const ours = `    at check (${pathToFileURL(ROOT).href}/conformance/src/faults-io/every-step.ts:50:1)`;
    const errorOf = (...lines: string[]) =>
      Object.assign(new Error('oh'), { stack: ['Error: oh', ...lines].join('\n') });
    expect(linesOf(errorOf(used, ours, own), engine)).toEqual([`open (${ROOT}/engines/memory/src/index.ts:3:1)`]);
    expect(linesOf(errorOf(ours, used), engine)).toEqual([used.slice(7)]);
    // none of theirs: what the suite asked, in whichever of its folders
    expect(linesOf(errorOf(ours), engine)).toEqual([`check (${ROOT}/conformance/src/faults-io/every-step.ts:50:1)`]);
  });
});
