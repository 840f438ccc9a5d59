// What a package must be before anybody may install it: node tools/publish-checks.ts DIRECTORY_OF_TARBALLS, after `npm run pack`.
// Our own rules are in tools/publish-rules.ts; publint and are-the-types-wrong look at how others' tools will see the package.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { brokenRules, type Manifest } from './publish-rules.ts';

const tarballs = resolve(process.argv[2] ?? 'packed');
const files = readdirSync(tarballs).filter((name) => name.endsWith('.tgz'));
if (files.length === 0) throw new Error(`no tarballs in ${tarballs}: run npm run pack first`);

let failed = 0;
for (const file of files) {
  const folder = mkdtempSync(join(tmpdir(), 'robust-publish-'));
  try {
    execFileSync('tar', ['xzf', join(tarballs, file), '-C', folder]);
    const unpacked = join(folder, 'package');
    // a manifest npm itself has just packed
    const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Manifest;
    const problems = [
      ...brokenRules(unpacked, manifest),
      ...(await publintProblems(unpacked, manifest)),
      ...(manifest.exports === undefined ? [] : typeProblems(join(tarballs, file))),
    ];
    failed += problems.length > 0 ? 1 : 0;
    console.log(`${problems.length === 0 ? 'ok    ' : 'not ok'} ${manifest.name} ${manifest.version}`);
    for (const problem of problems) console.log(`       ${problem}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
console.log(`publish checks: passed ${files.length - failed}, failed ${failed}`);
process.exitCode = failed === 0 ? 0 : 1;

async function publintProblems(pkgDir: string, manifest: Manifest): Promise<string[]> {
  const { messages } = await publint({ pkgDir, pack: false, strict: true });
  return (
    messages
      .filter(({ type }) => type !== 'suggestion')
      .map((message) => `publint: ${formatMessage(message, { ...manifest }, { color: false })}`)
      // a template's manifest is one of its own, once it is where it belongs
      .filter((problem) => !problem.startsWith('publint: ./template/'))
  );
}

/** ESM only: what a `require` in old module resolutions would get is not asked. */
function typeProblems(tarball: string): string[] {
  const attw = join(import.meta.dirname, '../node_modules/.bin/attw');
  const { status, stdout, stderr } = spawnSync(attw, [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'], {
    encoding: 'utf8',
  });
  return status === 0 ? [] : [`are the types wrong: ${stdout}${stderr}`];
}
