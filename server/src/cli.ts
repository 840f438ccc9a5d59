import { runCommand } from './cli/run.ts';

const stop = new AbortController();
let signals = 0;
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    signals++;
    // the second one means now
    if (signals > 1) process.exit(130);
    stop.abort();
  });
// whoever read our output has gone (`| head`): a command may end then, a node must go on, and neither may say so to the same pipe
const isNode = process.argv[2] === 'start';
process.stdout.on('error', () => {
  if (!isNode) process.exit(0);
});
// a log that nobody can read any more must not take the node down, nor be logged about
process.stderr.on('error', () => {});

process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  signal: stop.signal,
});
// a pipe takes what its reader has not taken yet later, and `exit` would not wait for that
await Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))),
);
// what a plug-in left open must not keep a finished command alive
process.exit();
