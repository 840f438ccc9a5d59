import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

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
  pause(): void;
  resume(): void;
  /** On the same port, with what it had stored; with another secret its clients are strangers. */
  start(options?: { readonly secretAccessKey?: string }): Promise<void>;
  /** Ends it, and removes what it had stored. */
  stop(): Promise<void>;
}

const ACCESS = 'robust-test';
const SECRET = 'robust-test-secret';
const REGION = 'us-east-1';
const READY_MS = 30_000;
const BINARIES = join(process.env.ROBUST_CACHE ?? join(homedir(), '.cache/robustmq'), 's3-servers');

export interface NativeOptions {
  /** Where it stores; a temporary directory by default. */
  readonly dir?: string;
}

export function startMinio(options: NativeOptions = {}): Promise<S3Server> {
  return startNative(options, {
    name: 'minio',
    words: (dir, port) => ['server', '--quiet', '--address', `127.0.0.1:${port}`, dir],
    env: (secret) => ({
      MINIO_ROOT_USER: ACCESS,
      MINIO_ROOT_PASSWORD: secret,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    }),
    readyPath: '/minio/health/ready',
  });
}

export function startVersitygw(options: NativeOptions = {}): Promise<S3Server> {
  return startNative(options, {
    name: 'versitygw',
    words: (dir, port) => [
      '--quiet',
      '--keep-alive',
      '--health',
      '/health',
      '--port',
      `127.0.0.1:${port}`,
      'posix',
      dir,
    ],
    env: (secret) => ({ ROOT_ACCESS_KEY: ACCESS, ROOT_SECRET_KEY: secret }),
    readyPath: '/health',
  });
}

interface Recipe {
  readonly name: string;
  words(dir: string, port: number): string[];
  readonly env: (secret: string) => Readonly<Record<string, string>>;
  readonly readyPath: string;
}

async function startNative(options: NativeOptions, recipe: Recipe): Promise<S3Server> {
  const binary = join(BINARIES, recipe.name);
  if (!existsSync(binary))
    throw new Error(`${recipe.name} is not there (${binary}). Build it once: tools/install-s3-servers.sh`);
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), `robust-${recipe.name}-`)));
  const server = new NativeServer(recipe, binary, dir, await freePort(), options.dir === undefined);
  await server.start();
  return server;
}

class NativeServer implements S3Server {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly endpoint: string;
  readonly accessKeyId: string = ACCESS;
  readonly secretAccessKey: string = SECRET;
  readonly region: string = REGION;
  readonly #recipe: Recipe;
  readonly #binary: string;
  readonly #dir: string;
  readonly #isOwnDir: boolean;
  #child: ChildProcess | undefined;
  #said = '';

  constructor(recipe: Recipe, binary: string, dir: string, port: number, isOwnDir: boolean) {
    this.name = recipe.name;
    this.port = port;
    this.endpoint = `http://${this.host}:${port}`;
    this.#recipe = recipe;
    this.#binary = binary;
    this.#dir = dir;
    this.#isOwnDir = isOwnDir;
  }

  async start({ secretAccessKey = SECRET }: { readonly secretAccessKey?: string } = {}): Promise<void> {
    const child = spawn(this.#binary, this.#recipe.words(this.#dir, this.port), {
      env: { ...process.env, ...this.#recipe.env(secretAccessKey) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-8192);
      });
    const until = performance.now() + READY_MS;
    while (!(await this.#isReady())) {
      if (child.exitCode !== null || performance.now() > until) {
        await this.kill();
        throw new Error(`${this.name} did not start on port ${this.port}. It said: ${this.#said}`);
      }
      await sleep(50);
    }
  }

  async createBucket(name: string): Promise<void> {
    const { endpoint, region, accessKeyId, secretAccessKey } = this;
    const credentials = { accessKeyId, secretAccessKey };
    const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
    try {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    } finally {
      client.destroy();
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    if (this.#isOwnDir) await rm(this.#dir, { recursive: true, force: true });
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.endpoint}${this.#recipe.readyPath}`)).ok;
    } catch {
      return false;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('there is no free port');
  return address.port;
}
