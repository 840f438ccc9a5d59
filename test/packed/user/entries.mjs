// Every entry of every installed package of ours can be imported; nothing else of it can.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const packages = readdirSync('node_modules/@robustmq').map((name) => `@robustmq/${name}`);
let entries = 0;
let refused = 0;
for (const name of [...packages, 'create-robust-engine']) {
  const folder = `node_modules/${name}`;
  const { exports } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  for (const key of Object.keys(exports)) {
    const specifier = name + key.slice(1);
    if (key === './package.json') assert.equal(require(specifier).name, name);
    else await import(specifier);
    entries++;
  }
  for (const file of readdirSync(folder, { recursive: true })) {
    if (!/\.(js|ts|json|map|md)$/.test(file) || file === 'package.json' || file.startsWith('node_modules/')) continue;
    await assert.rejects(import(`${name}/${file}`), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
    refused++;
  }
}
assert.ok(entries > 15 && refused > 1000);
console.log(`${entries} entries imported, ${refused} other files refused`);
