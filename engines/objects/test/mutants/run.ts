// Runs the model over the engine for object stores with one thing wrong at a time: `npm run mutants:s3`.
//   --only TEXT   those with TEXT in their name
//   --seeds N     until one is caught, at most; 600 by default
// Each is a copy of the engine's source beside it, with the change made.
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { runModel } from '../model/model.ts';
import type { OpenEngine } from '../model/process.ts';
import { OBJECT_MUTANTS, type ObjectMutant } from './mutants.ts';

const PACKAGE = join(import.meta.dirname, '../..');

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, seeds: { type: 'string', default: '600' } },
});
// a broken engine may well leave a promise alone: what it does to the data is what counts
process.on('unhandledRejection', () => {});
const awake = setInterval(() => {}, 60_000);
const sound = await catchIt({ name: 'the engine as it is', incident: '', changes: [] }, 100);
if (sound !== undefined) throw new Error(`a sound copy is caught: seed ${sound.seed}, ${sound.seen}`);
let caught = 0;
const asked = OBJECT_MUTANTS.filter(({ name }) => name.includes(values.only));
for (const mutant of asked) {
  const began = performance.now();
  const found = await catchIt(mutant, Number(values.seeds));
  if (found !== undefined) caught++;
  const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(5);
  const verdict = found === undefined ? '!! MISSED' : `ok seed ${String(found.seed).padStart(3)}`;
  console.log(
    `${verdict.padEnd(12)} ${seconds} s  ${mutant.name} (${mutant.incident})${found === undefined ? '' : `\n    ${found.seen}`}`,
  );
}
clearInterval(awake);
console.log(`caught ${caught}/${asked.length}`);
if (caught < asked.length || asked.length === 0) process.exitCode = 1;

async function catchIt(
  mutant: ObjectMutant,
  seeds: number,
): Promise<{ readonly seed: number; readonly seen: string } | undefined> {
  const dir = await mkdtemp(join(PACKAGE, '.mutant-'));
  try {
    await cp(join(PACKAGE, 'src'), join(dir, 'src'), { recursive: true });
    await symlink(join(PACKAGE, 'package.json'), join(dir, 'package.json'));
    for (const { file, from, to } of mutant.changes) {
      const path = join(dir, 'src', file);
      const source = await readFile(path, 'utf8');
      if (source.split(from).length !== 2)
        throw new Error(`${mutant.name}: the line to break is not there once, in ${file}: ${from}`);
      await writeFile(
        path,
        source.replace(from, () => to),
      );
    }
    const { openObjects } = (await import(pathToFileURL(join(dir, 'src/open.ts')).href)) as { openObjects: OpenEngine };
    for (let seed = 1; seed <= seeds; seed++) {
      try {
        await runModel(seed, openObjects, mutant.kind);
      } catch (error) {
        return { seed, seen: error instanceof Error ? error.message.slice(0, 200) : String(error) };
      }
    }
    return undefined;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
