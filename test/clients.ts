import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Ports } from './crash/server-process.ts';

const run = promisify(execFile);
const BIN = join(import.meta.dirname, '../bin/robust-server');

/** Real clients of a node, each as a user would type it. */
export class Clients {
  readonly #ports: Ports;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  async mosquittoPub(topic: string, ...words: string[]): Promise<void> {
    await run('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(this.#ports.mqtt), '-t', topic, '-q', '1', ...words]);
  }

  /** mosquitto_pub that publishes each line of its input, and ends when all are acknowledged. */
  mosquittoLines(topic: string): ChildProcess {
    const words = ['-h', '127.0.0.1', '-p', String(this.#ports.mqtt), '-t', topic, '-q', '1', '-l'];
    return spawn('mosquitto_pub', words, { stdio: ['pipe', 'inherit', 'inherit'] });
  }

  /** What kcat prints when it reads a partition from its beginning to its end. */
  async kcatAll(topic: string, format: string, partition = 0): Promise<string[]> {
    const words = [
      '-b',
      this.#kafka,
      '-C',
      '-t',
      topic,
      '-p',
      String(partition),
      '-o',
      'beginning',
      '-e',
      '-q',
      '-f',
      format,
    ];
    const { stdout } = await run('kcat', words, { maxBuffer: 64 * 1024 * 1024 });
    return stdout.split('\n').slice(0, -1);
  }

  /** kcat that reads on; `lines` grows. */
  kcatFollow(topic: string, format: string): { readonly lines: string[]; stop(): Promise<void> } {
    const words = ['-b', this.#kafka, '-C', '-t', topic, '-p', '0', '-o', 'beginning', '-u', '-q', '-f', format];
    const child = spawn('kcat', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    return {
      lines,
      stop: async () => {
        child.kill('SIGKILL');
        await once(child, 'exit');
      },
    };
  }

  /** Publishes lines with kcat; resolves when the broker has acknowledged all of them. */
  async kcatPublish(topic: string, lines: readonly string[]): Promise<void> {
    const words = ['-b', this.#kafka, '-P', '-t', topic, '-p', '0', '-X', 'acks=all', '-X', 'enable.idempotence=true'];
    const child = spawn('kcat', words, { stdio: ['pipe', 'inherit', 'inherit'] });
    child.stdin.end(lines.map((line) => `${line}\n`).join(''));
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`kcat ended with ${code}`);
  }

  /** Our own command line. */
  async robust(...words: string[]): Promise<string> {
    const { stdout } = await run(BIN, [...words, '--admin', this.admin]);
    return stdout;
  }

  get admin(): string {
    return `http://127.0.0.1:${this.#ports.admin}`;
  }

  get #kafka(): string {
    return `127.0.0.1:${this.#ports.kafka}`;
  }
}

/** Asks again until it holds; fails with the last answer. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  holds: (answer: T) => boolean,
  withinMs = 30_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (performance.now() > end) throw new Error(`still ${JSON.stringify(answer)?.slice(0, 500)} after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
