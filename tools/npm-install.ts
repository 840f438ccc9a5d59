import { execFileSync } from 'node:child_process';

const TRIES = 3;
/** npm (11.19, seen twice in one evening) may wait for ever with no connection open: one that takes so long is ended, and begun again. */
const TRY_MS = 150_000;

/** `npm install` of `words` in `cwd`, from npm's cache where it can. @throws when it fails, or has been ended each time */
export function npmInstall(cwd: string, env: NodeJS.ProcessEnv, words: readonly string[] = []): void {
  const all = ['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', ...words];
  for (let tried = 1; ; tried++)
    try {
      execFileSync('npm', all, {
        cwd,
        env,
        stdio: ['ignore', 'ignore', 'inherit'],
        timeout: TRY_MS,
        killSignal: 'SIGKILL',
      });
      return;
    } catch (error) {
      if ((error as { readonly code?: string }).code !== 'ETIMEDOUT' || tried === TRIES) throw error;
      console.error(`npm install did not end in ${TRY_MS / 1000} s: once more`);
    }
}
