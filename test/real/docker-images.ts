import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What testcontainers 12.2 starts beside ours, to clean up should we be killed. */
const REAPER = 'testcontainers/ryuk:0.14.0';
const PULL_MS = 90_000;

/** Where the reaper can't be had, containers still go when a test ends, but not when it is killed. */
export async function withoutReaper(): Promise<void> {
  if (!(await canHave(process.env.RYUK_CONTAINER_IMAGE ?? REAPER))) process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
}

export async function isHere(image: string): Promise<boolean> {
  try {
    await docker('image', 'inspect', image);
    return true;
  } catch {
    return false;
  }
}

const asked = new Map<string, Promise<boolean>>();

/** Is there, or can be pulled. Asked once: where no registry is reachable, that may take its time to show. */
export function canHave(image: string): Promise<boolean> {
  const known = asked.get(image) ?? (async () => (await isHere(image)) || (await pull(image)))();
  asked.set(image, known);
  return known;
}

async function pull(image: string): Promise<boolean> {
  try {
    await docker('pull', '--quiet', image);
    return true;
  } catch {
    return false;
  }
}

const docker = (...words: string[]): Promise<unknown> => promisify(execFile)('docker', words, { timeout: PULL_MS });
