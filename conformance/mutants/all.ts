import { readdirSync } from 'node:fs';
import type { Mutant } from './mutant.ts';

export interface FoundMutant extends Mutant {
  /** `engine/drops-the-middle-of-an-append`. */
  readonly file: string;
  /** What a child process imports: its default export is the definition. */
  readonly module: string;
}

/** Every mutant there is: one a file. */
export async function allMutants(): Promise<FoundMutant[]> {
  const found: FoundMutant[] = [];
  for (const folder of ['engine', 'shard'])
    for (const name of readdirSync(new URL(`./${folder}`, import.meta.url)).sort()) {
      const module = new URL(`./${folder}/${name}`, import.meta.url).href;
      const { mutant } = (await import(module)) as { readonly mutant: Mutant }; // what each of these files exports
      found.push({ ...mutant, module, file: `${folder}/${name.replace(/\.ts$/, '')}` });
    }
  return found;
}
