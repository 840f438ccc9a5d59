#!/usr/bin/env node
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`create-robust-engine needs Node 22.18 or newer, this is ${process.version}.`);
  process.exit(2);
}
// in the repository it runs from source; Node strips no types under node_modules
const source = new URL('../src/index.ts', import.meta.url);
const fromSource = !import.meta.url.includes('/node_modules/') && existsSync(source);
const { main } = await import(fromSource ? source.href : new URL('../dist/index.js', import.meta.url).href);
process.exitCode = main(process.argv.slice(2), process.cwd());
