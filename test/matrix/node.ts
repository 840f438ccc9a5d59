import { runCommand } from '@robustmq/server';
import { type Ports, ServerProcess } from '../crash/server-process.ts';

/** One node with one data directory, through one life after another. What an operator says to it goes through the real command line. */
export class Node {
  /** Ready, and not killed yet. */
  isUp = false;
  /** Which one this is. */
  life = 0;
  readonly #data: string;
  readonly #config: string;
  #server: ServerProcess | undefined;
  #ports: Ports | undefined;

  constructor(data: string, config: string) {
    this.#data = data;
    this.#config = config;
  }

  get ports(): Ports {
    if (this.#ports === undefined) throw new Error('the node has not been started');
    return this.#ports;
  }

  /** The last lines it wrote to standard error. */
  get log(): string {
    return this.#server?.log ?? '';
  }

  async start(): Promise<void> {
    this.#server = new ServerProcess({
      data: this.#data,
      config: this.#config,
      ...(this.#ports === undefined ? {} : { ports: this.#ports }),
    });
    await this.#server.ready();
    this.#ports = this.#server.ports;
    this.life++;
    this.isUp = true;
  }

  /** With -9. */
  async kill(): Promise<void> {
    this.isUp = false;
    await this.#server?.kill();
  }

  /** @throws when it does not end as it should */
  async stop(): Promise<void> {
    this.isUp = false;
    const code = await this.#server?.stop();
    if (code !== 0) throw new Error(`a clean stop ended with code ${code}:\n${this.log}`);
  }

  /** A command of `robust-server`, with `--json`. @returns what it printed; @throws when it did not end with 0 */
  async command<T>(...words: string[]): Promise<T> {
    let out = '';
    let error = '';
    const code = await runCommand([...words, '--json'], {
      env: { ROBUST_ADMIN_URL: `http://127.0.0.1:${this.ports.admin}` },
      cwd: this.#data,
      stdin: nothing(),
      out: (text) => {
        out += text;
      },
      error: (text) => {
        error += text;
      },
      signal: AbortSignal.timeout(COMMAND_MS),
    });
    if (code !== 0) throw new Error(`robust-server ${words.join(' ')}: ${error}`);
    return JSON.parse(out) as T; // each caller knows what its command prints
  }
}

const COMMAND_MS = 30_000;

async function* nothing(): AsyncGenerator<Uint8Array> {}
