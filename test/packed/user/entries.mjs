// Every entry of every installed package of ours can be imported; nothing else of it can.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const scope = 'node_modules/@robustmq';
const require = createRequire(import.meta.url);
let entries = 0;
let refused = 0;
for (const name of readdirSync(scope)) {
  const { exports } = JSON.parse(readFileSync(join(scope, name, 'package.json'), 'utf8'));
  for (const key of Object.keys(exports)) {
    const specifier = `@robustmq/${name}${key.slice(1)}`;
    if (key === './package.json') assert.equal(require(specifier).name, `@robustmq/${name}`);
    else await import(specifier);
    entries++;
  }
  const files = readdirSync(join(scope, name), { recursive: true }).filter((file) =>
    /\.(js|ts|json|map|md)$/.test(file),
  );
  for (const file of files) {
    if (file === 'package.json' || file.startsWith('node_modules/')) continue;
    await assert.rejects(import(`@robustmq/${name}/${file}`), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
    refused++;
  }
}
assert.ok(entries > 15 && refused > 1000);
console.log(`${entries} entries imported, ${refused} other files refused`);
