import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Place extends AsyncDisposable {
  readonly dir: string;
  write(name: string, text: string): Promise<void>;
}

/** A folder outside of the repository that has the packages installed. */
export async function emptyFolder(): Promise<Place> {
  const dir = await mkdtemp(join(tmpdir(), 'robust-cli-'));
  await symlink(new URL('../../../node_modules', import.meta.url).pathname, join(dir, 'node_modules'));
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
