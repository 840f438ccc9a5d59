// The pages of docs/ that follow from the source: error codes, metrics, settings. `npm run docs` writes them; test/docs.test.ts compares.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { STORAGE_CODES } from '@robustmq/core';
import {
  CORE_SCHEMA,
  formatUnit,
  inferUnits,
  loadBroker,
  loadEngine,
  TOPIC_SETTINGS,
  type Unit,
} from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES } from '@robustmq/server';
import { ERRORS } from '../server/src/errors-explained.ts';

export const ROOT: string = join(import.meta.dirname, '..');

const NOTE = '<!-- Written by `npm run docs` from the source. A test keeps the two in step. -->\n';

/** Every page: path and the text it should have. A page with marks keeps what stands outside of them. */
export async function pages(): Promise<readonly { readonly path: string; readonly text: string }[]> {
  const topics = settingsTable({ type: 'object', properties: TOPIC_SETTINGS }, '');
  return [
    { path: 'docs/errors.md', text: errorsPage() },
    { path: 'docs/metrics.md', text: metricsPage() },
    { path: 'docs/settings.md', text: await settingsPage() },
    { path: 'docs/topics.md', text: between('docs/topics.md', 'settings', topics) },
    { path: 'README.md', text: between('README.md', 'defaults', topics) },
  ];
}

// ---- errors

function errorsPage(): string {
  const entries = Object.entries(ERRORS).map(([code, { means, todo }]) => {
    const storage = Object.entries(STORAGE_CODES).find(([known]) => known === code)?.[1];
    const facts =
      storage === undefined
        ? ''
        : `\n- Outcome: ${storage.outcome === 'none' ? 'certainly not applied' : 'unknown, may have been applied'}. ${storage.retryable ? 'The same call may succeed later.' : 'Trying the same again does not help.'}`;
    return `## ${code}\n\n${means}\n\n- What to do: ${todo}${facts}\n`;
  });
  return `# Error codes

${NOTE}
Every error has a code that stays the same from release to release, says what happened and where, and what to do. \`robust-server explain CODE\`
prints the same texts. Errors of the storage also say whether the operation may have been applied (a single error may know better than its
code's usual outcome given here).

${entries.join('\n')}`;
}

/** Codes that the source throws or reports, wherever that is. */
export function codesInSource(): Set<string> {
  const codes = new Set<string>(Object.keys(STORAGE_CODES));
  const patterns = [
    /new \w*Error\(\s*'([A-Z][A-Z0-9_]+)'/g,
    /\bcode: '([A-Z][A-Z0-9_]+)'/g,
    /'((?:CONFIG|PLUGIN|KAFKA|MQTT)_[A-Z_]+)'/g,
  ];
  for (const { path, text } of sources()) {
    if (path.endsWith('errors-explained.ts')) continue;
    for (const pattern of patterns)
      for (const [, code = ''] of text.matchAll(pattern))
        if (!SYSTEM_CODES.test(code) && !NO_ERRORS.has(code)) codes.add(code);
  }
  return codes;
}

/** Kinds of messages between threads, and the names that Kafka's protocol has for its codes. */
const NO_ERRORS = new Set(['THREAD', 'KAFKA_STORAGE_ERROR']);

/** Node's and the operating system's own, and one that is Kafka's. */
const SYSTEM_CODES = /^(E[A-Z0-9]{2,}|ERR_.*|LEVEL_.*)$/;

// ---- metrics

export interface MetricInSource {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

/** What the source registers: `counter('robust_x_total', 'help')`. */
export function metricsInSource(): MetricInSource[] {
  const found = new Map<string, MetricInSource>();
  for (const { text } of sources())
    for (const match of text.matchAll(/'(robust_[a-z0-9_]+)',\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|\w+\.(\w+))/g)) {
      const [, name = '', plain, quoted, constant] = match;
      const before = text.slice(Math.max(0, match.index - 80), match.index);
      const type = [...before.matchAll(/(counter|gauge|histogram)\(/g)].at(-1)?.[1] ?? 'counter';
      // `HELP.wal` stands for `wal: '...'` in the same file
      const help = plain ?? quoted ?? new RegExp(`\\b${constant}:\\s*'((?:[^'\\\\]|\\\\.)*)'`).exec(text)?.[1];
      if (help !== undefined) found.set(name, { name, type, help: help.replaceAll("\\'", "'") });
    }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Names of metrics that stand in the source in any form: none may hide from the scan above. */
export function metricNamesInSource(): Set<string> {
  const names = new Set<string>();
  for (const { text } of sources())
    for (const [, name = ''] of text.matchAll(/['"`](robust_[a-z0-9_]+)/g)) names.add(name);
  return names;
}

function metricsPage(): string {
  const rows = metricsInSource().map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`);
  return `# Metrics

${NOTE}
\`GET /metrics\` on the admin port gives these in the format of Prometheus, and beside them what prom-client tells about the process
(\`process_*\`, \`nodejs_*\`; \`nodejs_eventloop_lag_p99_seconds\` is the lag of the event loop). Units are bytes and seconds. Some appear when their subject first does.

| name | type | what it counts |
| --- | --- | --- |
${rows.join('\n')}
`;
}

// ---- settings

type Keywords = Readonly<Record<string, unknown>>;

async function settingsPage(): Promise<string> {
  const parts: string[] = [];
  const properties = recordOf(CORE_SCHEMA.properties);
  for (const [name, schema] of Object.entries(properties)) {
    const { description = '', type, properties: inner } = recordOf(schema);
    if (name === 'engines' || name === 'brokers' || name === 'topics') continue;
    if (inner === undefined) parts.push(settingsTable({ properties: { [name]: schema } }, ''));
    else
      parts.push(`## ${name}\n\n${String(description)}.\n\n${settingsTable({ type, properties: inner }, `${name}.`)}`);
  }
  const engines: string[] = [];
  for (const use of FIRST_PARTY_ENGINES.keys()) {
    const { definition } = await loadEngine(use, { from: ROOT, table: FIRST_PARTY_ENGINES });
    engines.push(`### use: ${use}\n\n${settingsTable(inferUnits(definition.configSchema), 'engines.NAME.')}`);
  }
  const brokers: string[] = [];
  for (const use of FIRST_PARTY_BROKERS.keys()) {
    const { definition } = await loadBroker(use, { from: ROOT, table: FIRST_PARTY_BROKERS });
    brokers.push(`### ${use}\n\n${settingsTable(inferUnits(definition.configSchema), `brokers.${use}.`)}`);
  }
  const plain = parts
    .filter((part) => part.startsWith('|'))
    .map((part, i) => (i === 0 ? part : part.split('\n').slice(2).join('\n')));
  return `# Settings

${NOTE}
Where a value comes from, later ones win: defaults, the file named with \`-c\`, the environment (\`ROBUST_BROKERS__KAFKA__PORT=9093\`: \`__\` between
levels, \`_\` between the words of a name), \`--set brokers.kafka.port=9093\` and flags of their own. \`robust-server config print --origin\` shows
each value and where it came from; \`robust-server config schema\` prints a JSON Schema for editors.

Durations are numbers of milliseconds or texts such as \`500ms\`, \`10s\`, \`1h30m\`, \`7d\`, \`never\`; sizes are numbers of bytes or texts such as \`64KiB\`, \`128MiB\`,
\`10GB\`, \`unlimited\`.

${plain.join('')}
${parts.filter((part) => part.startsWith('##')).join('\n')}
## topics

${String(recordOf(properties.topics).description)}. Each rule has a \`match\` (a pattern over topic names: \`*\` stands for any run of
characters, \`?\` for one) and any of the settings of \`defaults\` above. [topics.md](topics.md) tells more.

## engines

${String(recordOf(properties.engines).description)}. Each instance has \`use\`, which names the engine (a name of the table below, a package
\`robust-engine-NAME\`, any package, or a \`./path\`), and the engine's own settings.

${engines.join('\n')}
## brokers

${String(recordOf(properties.brokers).description)}. Beside its own settings each has \`enabled\` (default \`true\`) and \`use\` (default: its
name), found in the same way as engines, with \`robust-broker-NAME\` for packages.

${brokers.join('\n')}`;
}

/** A table of the leaves of a schema. */
export function settingsTable(schema: Keywords, prefix: string): string {
  const rows: string[] = [];
  const walk = (properties: Keywords, path: string): void => {
    for (const [name, value] of Object.entries(properties)) {
      const keywords = recordOf(value);
      const inner = recordOf(keywords.properties);
      if (Object.keys(inner).length > 0) walk(inner, `${path}${name}.`);
      else
        rows.push(
          `| \`${path}${name}\` | ${kindOf(keywords)} | ${defaultOf(keywords)} | ${String(keywords.description ?? '').replaceAll('|', '\\|')} |`,
        );
    }
  };
  walk(recordOf(schema.properties), prefix);
  if (rows.length === 0) return 'It has no settings.\n';
  return `| setting | value | default | what it does |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

function kindOf({ type, unit, enum: choices, minimum, maximum }: Keywords): string {
  if (Array.isArray(choices)) return choices.map((choice) => `\`${choice}\``).join(', ');
  const names: Readonly<Record<string, string>> = {
    integer: 'whole number',
    string: 'text',
    boolean: 'true or false',
    object: 'map',
    array: 'list',
  };
  const kind = unit === 'ms' ? 'duration' : unit === 'bytes' ? 'size' : (names[String(type)] ?? String(type));
  const show = (value: unknown): string =>
    isUnit(unit) && typeof value === 'number' ? formatUnit(unit, value) : String(value);
  const low = typeof minimum === 'number' && minimum > 1 ? `, at least ${show(minimum)}` : '';
  const high = typeof maximum === 'number' && maximum < 2_147_483_647 ? `, at most ${show(maximum)}` : '';
  return kind + low + high;
}

function defaultOf({ default: value, unit }: Keywords): string {
  if (value === undefined) return '';
  return `\`${isUnit(unit) && typeof value === 'number' ? formatUnit(unit, value) : typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function isUnit(unit: unknown): unit is Unit {
  return unit === 'ms' || unit === 'bytes';
}

// ---- files

/** The page as it is, with `text` between its two marks. */
export function between(path: string, mark: string, text: string): string {
  const page = readFileSync(join(ROOT, path), 'utf8');
  const [begin, end] = [`<!-- ${mark}: written by npm run docs -->\n`, `<!-- end of ${mark} -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`${path} has no marks for ${mark}`);
  return `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`;
}

export interface SourceFile {
  /** From the root. */
  readonly path: string;
  readonly text: string;
}

const PACKAGES = ['core', 'conformance', 'create-robust-engine', 'meta', 'server'];
let cached: readonly SourceFile[] | undefined;

/** The TypeScript of all packages, tests left out. */
export function sources(): readonly SourceFile[] {
  cached ??= packageFolders().flatMap((folder) =>
    filesBelow(join(ROOT, folder, 'src')).filter(({ path }) => path.endsWith('.ts')),
  );
  return cached;
}

export function packageFolders(): string[] {
  const nested = ['engines', 'brokers'].flatMap((group) =>
    readdirSync(join(ROOT, group)).map((name) => `${group}/${name}`),
  );
  return [...PACKAGES, ...nested];
}

export function filesBelow(folder: string): SourceFile[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(
      (entry) => entry.isFile() && !entry.parentPath.includes('node_modules') && !entry.parentPath.includes('/dist'),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(ROOT, path), text: readFileSync(path, 'utf8') }));
}

function recordOf(value: unknown): Keywords {
  // keywords of a JSON Schema
  return (value ?? {}) as Keywords;
}
