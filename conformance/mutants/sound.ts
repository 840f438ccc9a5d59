import { fileURLToPath } from 'node:url';
import { loadSubject } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import localFile from '@robustmq/engine-local-file';
import { MEMORY } from './mutant.ts';
import { oneFile } from './one-file/one-file.ts';

/** Engines without a fault, each by its name: what fails of one of these is a false alarm. */
export const SOUND: Readonly<Record<string, () => Promise<EngineDefinition>>> = {
  'sound/memory': async () => MEMORY,
  'sound/one-file': async () => oneFile(),
  'sound/local-file': async () => localFile as unknown as EngineDefinition, // it gets the settings of its own schema
  // what a new author starts from, and what was written from the guide alone
  'sound/template': () => loaded('./create-robust-engine/template/src/index.ts'),
  'sound/level': () => loaded('./examples/robust-engine-level'),
  'sound/sqlite': () => loaded('./examples/robust-engine-sqlite'),
};

async function loaded(path: string): Promise<EngineDefinition> {
  return (await loadSubject(path, { cwd: fileURLToPath(new URL('../..', import.meta.url)) })).definition;
}
