// The packed server from its command line: start, create topics, publish, read, stop; one of them on a third party's engine.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const CONFIG = `engines: { mine: { use: third } }
topics: [{ match: "third.*", engine: mine }]
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

assert.ok(existsSync('node_modules/robust-engine-third/engine.js'), 'the engine in TypeScript is not there');
writeFileSync('robust.yaml', CONFIG);
const bin = 'node_modules/.bin/robust-server';
const server = spawn(bin, ['start', '-c', 'robust.yaml', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
const exited = once(server, 'exit');
try {
  const started = once(createInterface({ input: server.stdout }), 'line');
  const [line] = await Promise.race([started, exited.then(([code]) => assert.fail(`the server ended with ${code}`))]);
  const { listeners, startedInMs } = JSON.parse(line);
  console.log(`started in ${startedInMs} ms`);
  const admin = `http://127.0.0.1:${listeners.find(({ protocol }) => protocol === 'admin').port}`;
  const run = (...words) => execFileSync(bin, [...words, '--admin', admin], { encoding: 'utf8' });
  for (const topic of ['plain', 'third.topic']) {
    run('topic', 'create', topic, '--shards', '2');
    run('pub', topic, 'hello');
    assert.equal(run('sub', topic, '--from', 'start', '--no-follow'), 'hello\n');
  }
  assert.match(run('topic', 'describe', 'plain', '--json'), /"engine":"local"/);
  assert.match(run('topic', 'describe', 'third.topic', '--json'), /"engine":"mine"/);
} finally {
  server.kill('SIGTERM');
}
const [code] = await exited;
assert.equal(code, 0, `the server stopped with ${code}`);
