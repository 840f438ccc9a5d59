import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { stopProcess } from './stop-process.ts';

/** A real S3 server that a test has to itself. */
export interface S3Server {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:9000` */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  createBucket(name: string): Promise<void>;
  /** SIGKILL, and waits for its end. What it had stored stays. */
  kill(): Promise<void>;
  /** SIGSTOP, SIGCONT: connections stay, nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** On the same port, with what it had stored. */
  start(): Promise<void>;
  /** Ends it, and removes what it had stored. */
  stop(): Promise<void>;
}

/** One that runs as a process. */
export interface NativeS3Server extends S3Server {
  /** With another secret its clients are strangers. */
  start(options?: { readonly secretAccessKey?: string }): Promise<void>;
}

export const ROOT_KEY = 'robust-test';
export const ROOT_SECRET = 'robust-test-secret';
export const REGION = 'us-east-1';
export const READY_MS = 30_000;
const BINARIES = join(process.env.ROBUST_CACHE ?? join(homedir(), '.cache/robustmq'), 's3-servers');

/** How a server is started, as a process or in a container. */
export interface S3Recipe {
  readonly name: string;
  /** @param address where to listen, such as `127.0.0.1:9000` or `:9000` */
  words(dir: string, address: string): string[];
  env(secret: string): Readonly<Record<string, string>>;
  readonly readyPath: string;
}

export const MINIO: S3Recipe = {
  name: 'minio',
  words: (dir, address) => ['server', '--quiet', '--address', address, dir],
  env: (secret) => ({
    MINIO_ROOT_USER: ROOT_KEY,
    MINIO_ROOT_PASSWORD: secret,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
    MINIO_SITE_REGION: REGION, // without one it takes any
  }),
  readyPath: '/minio/health/ready',
};

export const VERSITYGW: S3Recipe = {
  name: 'versitygw',
  words: (dir, address) => ['--quiet', '--keep-alive', '--health', '/health', '--port', address, 'posix', dir],
  env: (secret) => ({ ROOT_ACCESS_KEY: ROOT_KEY, ROOT_SECRET_KEY: secret }),
  readyPath: '/health',
};

export interface NativeOptions {
  /** Where it stores; a temporary directory by default. */
  readonly dir?: string;
}

export function startMinio(options: NativeOptions = {}): Promise<NativeS3Server> {
  return startNative(options, MINIO);
}

export function startVersitygw(options: NativeOptions = {}): Promise<NativeS3Server> {
  return startNative(options, VERSITYGW);
}

async function startNative(options: NativeOptions, recipe: S3Recipe): Promise<NativeS3Server> {
  const binary = join(BINARIES, recipe.name);
  if (!existsSync(binary))
    throw new Error(`${recipe.name} is not there (${binary}). Build it once: tools/install-s3-servers.sh`);
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), `robust-${recipe.name}-`)));
  const server = new NativeServer(recipe, binary, dir, await freePort(), options.dir === undefined);
  await server.start();
  return server;
}

class NativeServer implements NativeS3Server {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly endpoint: string;
  readonly accessKeyId: string = ROOT_KEY;
  readonly secretAccessKey: string = ROOT_SECRET;
  readonly region: string = REGION;
  readonly #recipe: S3Recipe;
  readonly #binary: string;
  readonly #dir: string;
  readonly #isOwnDir: boolean;
  #child: ChildProcess | undefined;
  #said = '';

  constructor(recipe: S3Recipe, binary: string, dir: string, port: number, isOwnDir: boolean) {
    this.name = recipe.name;
    this.port = port;
    this.endpoint = `http://${this.host}:${port}`;
    this.#recipe = recipe;
    this.#binary = binary;
    this.#dir = dir;
    this.#isOwnDir = isOwnDir;
  }

  async start({ secretAccessKey = ROOT_SECRET }: { readonly secretAccessKey?: string } = {}): Promise<void> {
    const child = spawn(this.#binary, this.#recipe.words(this.#dir, `${this.host}:${this.port}`), {
      env: { ...process.env, ...this.#recipe.env(secretAccessKey) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-8192);
      });
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    if (await isReady(this.endpoint + this.#recipe.readyPath, hasEnded)) return;
    await this.kill();
    throw new Error(`${this.name} did not start on port ${this.port}. It said: ${this.#said}`);
  }

  createBucket(name: string): Promise<void> {
    return createBucketAt(this, name);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async pause(): Promise<void> {
    if (this.#child?.pid !== undefined) await stopProcess(this.#child.pid);
  }

  async resume(): Promise<void> {
    this.#child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    if (this.#isOwnDir) await rm(this.#dir, { recursive: true, force: true });
  }
}

/** Waits until `url` answers with 200. @returns false when it did not in time, or `isVain` */
export async function isReady(url: string, isVain: () => boolean = () => false): Promise<boolean> {
  const until = performance.now() + READY_MS;
  while (!isVain() && performance.now() < until) {
    try {
      if ((await fetch(url)).ok) return true;
    } catch {
      // nothing listens yet
    }
    await sleep(50);
  }
  return false;
}

export async function createBucketAt(server: S3Server, name: string): Promise<void> {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }));
  } finally {
    client.destroy();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('there is no free port');
  return address.port;
}
