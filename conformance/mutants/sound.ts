import { fileURLToPath } from 'node:url';
import { loadSubject, type Subject } from '@robustmq/conformance';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Engines without a fault, each by its name, and what is imported of it: what fails of one of these is a false alarm. */
export const SOUND: Readonly<Record<string, string>> = {
  'sound/memory': './engines/memory',
  'sound/one-file': './conformance/mutants/one-file/one-file.ts',
  'sound/local-file': './engines/local-file',
  // what a new author starts from, and what was written from the guide alone
  'sound/template': './create-robust-engine/template/src/index.ts',
  'sound/level': './examples/robust-engine-level',
  'sound/sqlite': './examples/robust-engine-sqlite',
};

/** With the URL that a child process imports: without it nobody is killed. */
export async function soundSubject(name: string): Promise<Subject> {
  const path = SOUND[name];
  if (path === undefined) throw new Error(`there is no engine ${name}, and no mutant`);
  return await loadSubject(path, { cwd: ROOT });
}
