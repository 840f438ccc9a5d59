import { execFile } from 'node:child_process';
import { expect } from 'vitest';
import type { CommandResult } from '../../server/test/node-fixture.ts';
import { archiveIn, configureArchive } from './archived.ts';
import { BIN } from './bad-store.ts';
import type { EngineSettings } from './stress.ts';

/** Of a command that does not wait for long, on a machine that is busy. */
const REASONABLE_MS = 45_000;

/** Each reads the store of an archive itself. */
export const VERBS: readonly (readonly string[])[] = [
  ['ls'],
  ['cat', 'audit'],
  ['verify'],
  ['restore', '--old-cluster-is-gone', '--data', 'new'],
];

/** With these settings of the archive each verb says this, and what to do, and ends. */
export async function verbsFail(
  folder: string,
  cold: EngineSettings,
  { code, hint, words = [] }: { readonly code: string; readonly hint: RegExp; readonly words?: readonly string[] },
): Promise<void> {
  await configureArchive(folder, cold);
  const archive = archiveIn(folder);
  await Promise.all(VERBS.map(async (verb) => failsWith(await archive(...verb, ...words), code, hint)));
  failsWith(await said(folder, ['ls', ...words]), code, hint);
}

/** A command as a user gives it: a process of its own. It ends by itself. */
export async function said(folder: string, words: readonly string[]): Promise<CommandResult> {
  const all = ['archive', ...words, '-c', 'robust.yaml'];
  return await new Promise((resolve) => {
    execFile(BIN, all, { cwd: folder, timeout: REASONABLE_MS }, (failure, out, error) => {
      // of one that was killed there is none
      const code = failure === null ? 0 : typeof failure.code === 'number' ? failure.code : -1;
      resolve({ code, out, error });
    });
  });
}

export function failsWith({ code: exit, error }: CommandResult, code: string, hint: RegExp): void {
  expect(error).toMatch(new RegExp(`^${code}: `));
  expect(error).toMatch(hint);
  expect(error).not.toMatch(/^ +at /m);
  expect(exit).toBe(1);
}
