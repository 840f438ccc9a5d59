import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const BIN: string = new URL('../../bin/robust-conformance.js', import.meta.url).pathname;

/** Runs this Node with `words` until it ends by itself. */
export async function node(
  words: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    onStart?(kill: () => void): void;
  } = {},
): Promise<Ended> {
  const { NODE_TEST_CONTEXT: _, VITEST: __, ...env } = process.env;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...words], {
    cwd: options.cwd,
    // few model commands: what is tested here is the way there
    env: { ...env, ROBUST_CONFORMANCE_EFFORT: '0.05', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
    new Promise<void>((resolve) => {
      if (options.onStart === undefined) return resolve();
      child.stderr.once('data', () => {
        options.onStart?.(() => child.kill('SIGINT'));
        resolve();
      });
    }),
  ]);
  return { code: code as number | null, stdout, stderr }; // what `exit` gives
}
