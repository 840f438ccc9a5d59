// What an author of an engine has before anything else, from tarballs alone: an engine that passes, and failures that lead to the line. Part of try-packed.ts.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmInstall } from './npm-install.ts';

export interface Author {
  /** Does not exist yet. */
  readonly folder: string;
  readonly tarballs: string;
  readonly env: NodeJS.ProcessEnv;
}

interface Break {
  readonly fault: string;
  readonly file: string;
  readonly text: string;
  readonly instead: string;
  readonly caughtBy: string;
  /** The line of the file that the failure must name. */
  readonly line?: string;
  /** Where no error comes out of the engine: what the failure must say. */
  readonly seen?: RegExp;
}

const BREAKS: readonly Break[] = [
  {
    fault: 'forgets where the next append goes',
    file: 'writer.ts',
    text: 'this.#dispatched = next;\n',
    instead: '\n',
    caughtBy: 'SHARD-010',
    line: "throw new StorageError('OFFSET_MISMATCH'",
  },
  {
    fault: 'takes its own copy, sent again, for that of a stranger',
    file: 'engine.ts',
    text: ' && before.uid !== options.uid',
    instead: '',
    caughtBy: 'SHARD-063',
    line: "return new StorageError('SEGMENT_EXISTS'",
  },
  {
    fault: 'answers before the sync',
    file: 'log.ts',
    text: 'from);\n      await this.#file.datasync();',
    instead: 'from);',
    caughtBy: 'SHARD-216',
    seen: /^ {2}seen {2}an append settled though no sync/m,
  },
];

/** @returns of each promise whether it was kept */
export function tryAsAuthor(author: Author): readonly boolean[] {
  mkdirSync(author.folder);
  const engine = join(author.folder, 'robust-engine-mine');
  const first = told('from an empty folder: the template, and its whole scorecard', () => firstCard(author, engine));
  // without one there is nothing to break
  if (!existsSync(join(engine, 'node_modules'))) return [false];
  return [
    first,
    told('the engine of the template passes its types and its tests, and is built', () => {
      for (const script of ['check', 'test', 'build']) succeed(author.env, engine, 'npm', 'run', script);
      return '';
    }),
    ...BREAKS.map((one, i) =>
      told(`an engine that ${one.fault} is caught by ${one.caughtBy}, which leads there`, () =>
        catches(one, engine, author.env, { again: i === 0 }),
      ),
    ),
  ];
}

function firstCard({ folder, tarballs, env }: Author, engine: string): string {
  const generator = readdirSync(tarballs).find((name) => name.startsWith('create-robust-engine-'));
  succeed(env, folder, 'npx', '--yes', `file:${join(tarballs, generator ?? '')}`, 'mine', '--packages', tarballs);
  npmInstall(engine, env);
  const card = succeed(env, engine, 'npm', 'run', 'conformance');
  wants(card, /^All MUST passed\.$/m);
  return `${/passed +\d+/.exec(card)?.[0].replace(/ +/, ' ')}, of it the suite ${/took +(.*)/.exec(card)?.[1]}`;
}

function catches(one: Break, engine: string, env: NodeJS.ProcessEnv, { again }: { readonly again: boolean }): string {
  const path = join(engine, 'src', one.file);
  const sound = readFileSync(path, 'utf8');
  const broken = sound.replace(one.text, one.instead);
  if (broken === sound) throw new Error(`${one.file} has no ${JSON.stringify(one.text)}`);
  writeFileSync(path, broken);
  try {
    const card = fail(env, engine, 'npm', 'run', 'conformance', '--', '--only', one.caughtBy);
    const wanted =
      one.line === undefined ? [] : [new RegExp(`^ {2}at .*/src/${one.file}:${lineOf(one.line, broken)}:`, 'm')];
    for (const pattern of [new RegExp(`^FAILED engine ${one.caughtBy} `, 'm'), ...wanted, one.seen ?? /./])
      wants(card, pattern);
    if (!again) return '';
    // as it stands there, pasted into a shell
    const run = /^ {2}run {3}(npx .*)$/m.exec(card)?.[1] ?? '';
    wants(fail(env, engine, 'sh', '-c', run), new RegExp(`^FAILED engine ${one.caughtBy} `, 'm'));
    return 'and again by its run line';
  } finally {
    writeFileSync(path, sound);
  }
}

function lineOf(text: string, source: string): number {
  return source.split('\n').findIndex((line) => line.includes(text)) + 1;
}

function told(promise: string, run: () => string): boolean {
  const began = performance.now();
  try {
    const more = run();
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`ok     ${promise} (${seconds} s${more === '' ? '' : `: ${more}`})`);
    return true;
  } catch (error) {
    console.log(`not ok ${promise}\n${error instanceof Error ? error.message : error}`);
    return false;
  }
}

function wants(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`${pattern} is not in\n${text}`);
}

function succeed(env: NodeJS.ProcessEnv, cwd: string, ...words: readonly [string, ...string[]]): string {
  return ended(env, cwd, 0, words);
}

function fail(env: NodeJS.ProcessEnv, cwd: string, ...words: readonly [string, ...string[]]): string {
  return ended(env, cwd, 1, words);
}

function ended(
  env: NodeJS.ProcessEnv,
  cwd: string,
  code: number,
  [command, ...words]: readonly [string, ...string[]],
): string {
  // a busy machine takes its time for the whole suite
  const { status, error, stdout, stderr } = spawnSync(command, words, { cwd, env, encoding: 'utf8', timeout: 600_000 });
  if (status === code) return stdout;
  throw new Error(`${[command, ...words].join(' ')}: ${error?.message ?? status}, not ${code}\n${stdout}${stderr}`);
}
