import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** docs/engine-authors.md does what it says: its files type-check and run, its commands are run, or are among those that need the registry. */
const ROOT = join(import.meta.dirname, '../..');
const GUIDE = readFileSync(join(ROOT, 'docs/engine-authors.md'), 'utf8');

interface Block {
  readonly language: string;
  readonly name: string;
  readonly text: string;
}

const blocks: Block[] = [...GUIDE.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', name = '', text = '']) => ({ language, name, text }),
);

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'robust-guide-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const options = JSON.parse(readFileSync(join(ROOT, 'create-robust-engine/template/tsconfig.json'), 'utf8'));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...options, include: ['*.ts'] }));
  for (const { name, text } of blocks) if (name !== '') writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Run elsewhere: by create.test.ts, by `npm run test:pack`, by bench/engine.test.ts; or only by those who publish. */
const ELSEWHERE = [
  /^npm create robust-engine my-engine$/,
  /^cd robust-engine-my-engine$/,
  /^npm install$/,
  /^npm run conformance$/,
  /^npx \.\/packed\/create-robust-engine-0\.1\.0\.tgz my-engine --packages \.\/packed$/,
  /^npm pack --dry-run$/,
  /^npm publish$/,
  /^npm run bench:engine -- /,
];

const commands = blocks.filter(({ language }) => language === 'sh').flatMap(({ text }) => text.trim().split('\n'));

const WHOLE = 'npx @robustmq/conformance ./tiny.ts';

function shownCard(): string {
  return blocks.find(({ text }) => text.startsWith('tiny 0.1.0'))?.text ?? '';
}

/** The rows that count checks, without their ids. */
function countsOf(card: string): string[] {
  return card.match(/(?<=^ {2})(passed|failed|not claimed) .*?(?=( \(SHARD-.*)?$)/gm) ?? [];
}

describe('docs/engine-authors.md', { timeout: 180_000 }, () => {
  it('names every file of its code, so that it can be checked', () => {
    expect(blocks.filter(({ language, name }) => /^(ts|yaml)$/.test(language) && name === '')).toEqual([]);
    expect(blocks.filter(({ language }) => !/^(ts|yaml|sh|text)$/.test(language))).toEqual([]);
  });

  it('type-checks, with the settings of the template', () => {
    execFileSync(process.execPath, [join(ROOT, 'node_modules/.bin/tsc'), '-p', folder], { stdio: 'inherit' });
  });

  it.each(commands.filter((command) => !ELSEWHERE.some((known) => known.test(command))))('%s', (command) => {
    const { NODE_TEST_CONTEXT: _, VITEST: __, ...env } = process.env;
    const [program, ...words] = command.replace(' \\\n', '').split(' ');
    const bin = join(ROOT, 'conformance/bin/robust-conformance.js');
    const start = { npx: words.shift() === '@robustmq/conformance' ? [bin] : undefined, node: ['--test'] }[
      program ?? ''
    ];
    expect(start, `nobody runs ${command}`).toBeDefined();
    // the whole suite is run by the first command; this one is about the form
    const less = words.includes('--markdown') ? ['--only', 'SHARD-001'] : [];
    const args = ['--disable-warning=ExperimentalWarning', ...(start ?? []), ...words, ...less];
    const out = execFileSync(process.execPath, args, {
      cwd: folder,
      encoding: 'utf8',
      env: { ...env, ROBUST_CONFORMANCE_EFFORT: '0.05' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    // what the guide shows of this very card
    if (command === WHOLE) for (const row of countsOf(shownCard())) expect(out).toContain(row);
    expect(out).toMatch(/All MUST (of this run )?passed|fail 0|conformance 0\.1: partial, 1 passed/);
  });

  it('shows the card that its smallest engine gets', () => {
    expect(commands).toContain(WHOLE);
    const card = shownCard();
    expect(countsOf(card)).toHaveLength(3);
    expect(card).toContain('durability            none claimed; shown: n/a: it promises nothing past the process');
  });
});
