import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/** A `package.json` of this repository. */
export interface SourceManifest {
  readonly name: string;
  readonly private?: boolean;
  readonly workspaces?: readonly string[];
  readonly exports?: Readonly<Record<string, string>>;
}

export interface PublishedPackage {
  /** From the root of the repository: `engines/memory`. */
  readonly folder: string;
  readonly manifest: SourceManifest;
}

/** The workspaces that users can install, in the order of their folders. */
export function publishedPackages(): PublishedPackage[] {
  return (manifestOf('.').workspaces ?? [])
    .flatMap((pattern) => (pattern.endsWith('/*') ? foldersIn(pattern.slice(0, -2)) : [pattern]))
    .toSorted()
    .map((folder) => ({ folder, manifest: manifestOf(folder) }))
    .filter(({ manifest }) => !manifest.private);
}

function foldersIn(parent: string): string[] {
  if (!existsSync(join(ROOT, parent))) return [];
  return readdirSync(join(ROOT, parent))
    .map((name) => join(parent, name))
    .filter((folder) => existsSync(join(ROOT, folder, 'package.json')));
}

function manifestOf(folder: string): SourceManifest {
  // a manifest of ours
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as SourceManifest;
}
