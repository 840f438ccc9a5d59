// The public types of every published package, one page each in docs/api/: node tools/api-report.ts compares them with what the build has
// written, --write writes them. test/packed/api-report.test.ts compares too, so that a break is a decision: docs/versioning.md.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Declaration, Declarations } from './declarations.ts';
import { publishedPackages } from './published.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGES = 'docs/api';

/** Path and text of every report, from `.d.ts` files that are built first. */
export function reports(): Map<string, string> {
  execFileSync('tsc', ['-b'], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const found = new Map<string, string>();
  for (const { folder, manifest } of publishedPackages()) {
    if (manifest.exports === undefined) continue;
    const name = manifest.name.replace('@robustmq/', '');
    found.set(`${PAGES}/${name}.md`, reportOf(folder, manifest.name, manifest.exports));
  }
  return found;
}

/** The reports that are in the repository. */
export function writtenReports(): Map<string, string> {
  const names = readdirSync(join(ROOT, PAGES)).toSorted();
  return new Map(names.map((name) => [`${PAGES}/${name}`, readFileSync(join(ROOT, PAGES, name), 'utf8')]));
}

const NOTE = `<!-- Written by \`node tools/api-report.ts --write\` from what the build gives users. A test compares: a change here is a change for
users, and docs/versioning.md says which may come when. -->`;

function reportOf(folder: string, name: string, exports: Readonly<Record<string, string>>): string {
  const declarations = new Declarations();
  const exported = new Map<string, Declaration>();
  const lines = [`# ${name}: its public types`, '', NOTE];
  for (const [key, source] of Object.entries(exports)) {
    if (!source.endsWith('.ts')) continue;
    const entry = join(ROOT, folder, source.replace('./src/', 'dist/').replace(/\.ts$/, '.d.ts'));
    lines.push('', `## \`${name}${key.slice(1)}\``, '');
    for (const [as, declaration] of declarations.exportsOf(entry)) {
      if (declaration === undefined) lines.push(`- \`${as}\` of another package`);
      else lines.push(declaration.name === as ? `- \`${as}\`` : `- \`${as}\`: \`${declaration.name}\``);
      if (declaration !== undefined) exported.set(`${declaration.file} ${declaration.name}`, declaration);
    }
  }
  lines.push('', '## What they are', '', ...sorted(exported.values()));
  const reached = declarations.reachedFrom(exported.values());
  if (reached.length > 0) lines.push('', '## What these name and no entry exports', '', ...sorted(reached));
  return `${lines.join('\n')}\n`;
}

/** By name, so that a declaration may move between files. */
function sorted(declarations: Iterable<Declaration>): string[] {
  const texts = [...declarations].toSorted((a, b) => order(a.name, b.name) || order(a.text, b.text));
  return ['```ts', ...texts.map(({ text }) => text), '```'];
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

if (import.meta.main) {
  const now = reports();
  if (process.argv.includes('--write')) {
    rmSync(join(ROOT, PAGES), { recursive: true, force: true });
    mkdirSync(join(ROOT, PAGES));
    for (const [path, text] of now) writeFileSync(join(ROOT, path), text);
    console.log(`${now.size} pages in ${PAGES}`);
  } else {
    const before = writtenReports();
    const paths = [...new Set([...now.keys(), ...before.keys()])];
    const changed = paths.filter((path) => now.get(path) !== before.get(path));
    for (const path of changed)
      console.log(`${path} differs: node tools/api-report.ts --write, then git diff ${PAGES}`);
    process.exitCode = changed.length === 0 ? 0 : 1;
  }
}
