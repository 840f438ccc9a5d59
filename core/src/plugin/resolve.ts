import { readFileSync, statSync } from 'node:fs';
import { createRequire, findPackageJSON } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RobustError } from '../errors.ts';
import type { PluginKind } from './definition.ts';

/** Where a plug-in was found. `expectedName`: what it must call itself, when the name was how it was found. */
export type PluginSource =
  | { readonly kind: 'first-party'; readonly text: string; readonly expectedName: string }
  | { readonly kind: 'package'; readonly text: string; readonly url: string; readonly expectedName: string | undefined }
  | { readonly kind: 'path'; readonly text: string; readonly url: string; readonly expectedName: undefined };

const PACKAGE_NAME = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

/** `./path`, then `robust-engine-x`, then the package `x`; each from the config's folder, then from the server's. @throws PLUGIN_NOT_FOUND */
export function resolvePlugin(
  kind: PluginKind,
  use: string,
  options: { readonly from: string; readonly table: ReadonlyMap<string, unknown> },
): PluginSource {
  const tried: string[] = [];
  if (/^(\.{1,2})?\//.test(use) || use === '.' || use === '..') {
    const path = resolve(options.from, use);
    const file = entryFile(path);
    if (file !== undefined) return { kind: 'path', text: file, url: pathToFileURL(file).href, expectedName: undefined };
    tried.push(path);
  } else if (PACKAGE_NAME.test(use) && use.length <= 214) {
    const prefixed = use.startsWith('@') ? [] : [`robust-${kind}-${use}`];
    for (const name of [...prefixed, use]) {
      tried.push(`package ${name}`);
      const file = findPackage(name, options.from);
      if (file !== undefined)
        return {
          kind: 'package',
          text: `package ${name}`,
          url: pathToFileURL(file).href,
          expectedName: name === use ? undefined : use,
        };
    }
  }
  const own = [...options.table.keys()].join(', ');
  throw new RobustError(
    'PLUGIN_NOT_FOUND',
    `there is no ${kind} ${JSON.stringify(use)}: tried ${[...(own === '' ? [] : [`the server's own (${own})`]), ...tried].join(', then ') || 'nothing: it is no name and no path'}`,
    { hint: `Install it (npm install robust-${kind}-NAME) where the config file is, or give its ./path` },
  );
}

function findPackage(name: string, from: string): string | undefined {
  for (const base of [join(resolve(from), 'package.json'), import.meta.filename]) {
    let manifest: string | undefined;
    try {
      manifest = findPackageJSON(name, pathToFileURL(base));
    } catch {
      // not there: the next place
    }
    const folder = manifest === undefined ? undefined : dirname(manifest);
    const file = folder === undefined ? undefined : (exported(folder) ?? required(name, base));
    if (file !== undefined) return file;
  }
  return undefined;
}

/** What `import` of the package's root gives, for packages that say it in `exports` for ESM only. */
function exported(folder: string): string | undefined {
  const manifest = readManifest(folder);
  let target = manifest.exports;
  if (isRecord(target) && '.' in target) target = target['.'];
  for (let depth = 0; depth < 8 && isRecord(target); depth++) {
    const conditions: Record<string, unknown> = target;
    target = Object.keys(conditions)
      .filter((condition) => ['node', 'import', 'default'].includes(condition))
      .map((condition) => conditions[condition])[0];
  }
  const path = typeof target === 'string' ? target : manifest.main;
  return typeof path === 'string'
    ? existing(['', '.js', '/index.js'].map((end) => join(folder, path) + end))
    : undefined;
}

/** A manifest that can't be read counts as one that says nothing. */
function readManifest(folder: string): Record<string, unknown> {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return isRecord(manifest) ? manifest : {};
  } catch {
    return {};
  }
}

function required(name: string, base: string): string | undefined {
  try {
    return createRequire(base).resolve(name);
  } catch {
    return undefined;
  }
}

/** A file as it is; a folder by its package.json or its index. */
function entryFile(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (stats.isFile()) return path;
  return (
    exported(path) ?? existing(['index.js', 'index.mjs', 'index.ts', 'src/index.ts'].map((name) => join(path, name)))
  );
}

function existing(files: readonly string[]): string | undefined {
  return files.find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
