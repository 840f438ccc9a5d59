// `npm run docs`: writes the pages of docs/ that follow from the source.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pages, ROOT } from './docs.ts';

for (const { path, text } of await pages()) {
  writeFileSync(join(ROOT, path), text);
  console.log(`wrote ${path}`);
}
