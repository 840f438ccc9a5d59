// Installs the packed packages into an empty folder, as a user would, and uses the server there: starts it, with a third party's engine
// too, publishes, reads, stops it. Usage: node tools/try-packed.ts DIRECTORY_OF_TARBALLS
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const tarballs = resolve(process.argv[2] ?? 'packed');
const files = readdirSync(tarballs).filter((name) => name.endsWith('.tgz'));
if (files.length === 0) throw new Error(`no tarballs in ${tarballs}: run npm run pack first`);
const folder = mkdtempSync(join(tmpdir(), 'robust-packed-'));
// the Node that runs this, whatever the machine has
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
const run = (command: string, ...words: string[]): string =>
  execFileSync(command, words, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

// wraps the memory engine: a package of its own that sees only what the published contract exports
const ENGINE = `
import { defineEngine, ENGINE_API_VERSION } from '@robustmq/core/engine';
import memory from '@robustmq/engine-memory';
export default defineEngine({ ...memory, name: 'third', apiVersion: ENGINE_API_VERSION, version: '1.0.0' });
`;

try {
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  console.log(`installing ${files.length} packages into an empty folder`);
  run('npm', 'install', '--silent', '--no-audit', '--no-fund', ...files.map((name) => join(tarballs, name)));
  mkdirSync(join(folder, 'node_modules/robust-engine-third'));
  writeFileSync(
    join(folder, 'node_modules/robust-engine-third/package.json'),
    '{ "name": "robust-engine-third", "version": "1.0.0", "type": "module", "exports": { ".": { "import": "./index.js" } } }',
  );
  writeFileSync(join(folder, 'node_modules/robust-engine-third/index.js'), ENGINE);
  writeFileSync(
    join(folder, 'robust.yaml'),
    'engines: { mine: { use: third } }\ntopics: [{ match: "third.*", engine: mine }]\nadmin: { port: 0 }\nbrokers: { mqtt: { port: 0 }, kafka: { port: 0 } }\n',
  );
  const bin = join(folder, 'node_modules/.bin/robust-server');
  const server = spawn(bin, ['start', '-c', 'robust.yaml', '--json'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(server, 'exit');
  try {
    const line = await Promise.race([
      once(createInterface({ input: server.stdout }), 'line').then(([text]) => String(text)),
      exited.then(([code]) => Promise.reject(new Error(`the server ended with ${code}`))),
    ]);
    // the start-up message
    const { listeners, startedInMs } = JSON.parse(line) as {
      listeners: { protocol: string; port: number }[];
      startedInMs: number;
    };
    console.log(`started in ${startedInMs} ms`);
    const admin = `http://127.0.0.1:${listeners.find(({ protocol }) => protocol === 'admin')?.port}`;
    for (const topic of ['plain', 'third.topic']) {
      run(bin, 'pub', topic, 'hello', '--admin', admin);
      const read = run(bin, 'sub', topic, '--from', 'start', '--no-follow', '--admin', admin);
      if (read !== 'hello\n') throw new Error(`${topic}: read ${JSON.stringify(read)}`);
    }
    const described = run(bin, 'topic', 'describe', 'third.topic', '--json', '--admin', admin);
    if (!described.includes('"engine":"mine"')) throw new Error(`not on the third party's engine: ${described}`);
  } finally {
    server.kill('SIGTERM');
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`the server stopped with ${code}`);
  console.log('the packed server works');
} finally {
  rmSync(folder, { recursive: true });
}
