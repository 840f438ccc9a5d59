import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Place extends AsyncDisposable {
  readonly dir: string;
  write(name: string, text: string): Promise<void>;
}

const MODULES = new URL('../../../node_modules', import.meta.url).pathname;

/** A folder outside of the repository that has the packages installed; `installed`: with room for more of them. */
export async function emptyFolder(installed?: 'installed'): Promise<Place> {
  const dir = await mkdtemp(join(tmpdir(), 'robust-cli-'));
  const modules = join(dir, 'node_modules');
  if (installed === undefined) await symlink(MODULES, modules);
  else {
    await mkdir(modules);
    await symlink(join(MODULES, '@robustmq'), join(modules, '@robustmq'));
  }
  return {
    dir,
    write: (name, text) => writeFile(join(dir, name), text),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
}

/** An engine that is the memory engine but for what `changes` says, as the text of a module. */
export function changed(changes: string, open = ''): string {
  return `
import memory from '@robustmq/engine-memory';
export default {
  ...memory,
  name: 'changed',
  ${changes}
  ${open === '' ? '' : `open: async (ctx) => { const engine = await memory.open(ctx); ${open} return engine; },`}
};
`;
}
