import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const BIN = join(import.meta.dirname, '../../bin/robust-server');
const START_TIMEOUT_MS = 60_000;
const STDERR_LINES = 40;

export interface Ports {
  readonly kafka: number;
  readonly mqtt: number;
  readonly admin: number;
}

export interface StartOptions {
  readonly data: string;
  /** Those of the life before, so that clients find it again; free ones else. */
  readonly ports?: Ports;
  /** More settings, `path=value`. */
  readonly sets?: readonly string[];
  /** Another server than the repository's own, say one that is installed elsewhere. */
  readonly bin?: string;
  /** Its configuration file. */
  readonly config?: string;
  /** Where it is started: what `./` in its settings means. */
  readonly cwd?: string;
}

/** The real server, as a user starts it. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #stderr: string[] = [];
  #ports: Ports | undefined;

  /** Only spawned: it may be killed before it is ready. */
  constructor({ data, ports, sets = [], bin = BIN, config, cwd }: StartOptions) {
    const settings = [
      `brokers.kafka.port=${ports?.kafka ?? 0}`,
      `brokers.mqtt.port=${ports?.mqtt ?? 0}`,
      `admin.port=${ports?.admin ?? 0}`,
      ...sets,
    ];
    const file = config === undefined ? [] : ['--config', config];
    const words = ['start', ...file, '--data', data, '--json', ...settings.flatMap((setting) => ['--set', setting])];
    this.#child = spawn(bin, words, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#exit = once(this.#child, 'exit');
    if (this.#child.stderr === null) throw new Error('no stderr');
    createInterface({ input: this.#child.stderr }).on('line', (line) => {
      this.#stderr.push(line);
      if (this.#stderr.length > STDERR_LINES) this.#stderr.shift();
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get ports(): Ports {
    if (this.#ports === undefined) throw new Error('not ready yet');
    return this.#ports;
  }

  /** The last lines it wrote to standard error. */
  get log(): string {
    return this.#stderr.join('\n');
  }

  /** Resolves when it says that it is ready. */
  async ready(): Promise<void> {
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('no stdout');
    const lines = createInterface({ input: stdout });
    const timeout = AbortSignal.timeout(START_TIMEOUT_MS);
    const first = once(lines, 'line', { signal: timeout });
    const gone = this.#exit.then(() => undefined);
    const line: unknown[] | undefined = await Promise.race([first, gone]).catch(() => undefined);
    if (line === undefined) throw new Error(`the server did not start:\n${this.log}`);
    stdout.resume();
    const { listeners } = JSON.parse(String(line[0])) as { listeners: { protocol: string; port: number }[] };
    const portOf = (protocol: string) => listeners.find((one) => one.protocol === protocol)?.port ?? 0;
    this.#ports = { kafka: portOf('kafka'), mqtt: portOf('mqtt'), admin: portOf('admin') };
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  /** As an operator stops it. @returns the exit code */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    await this.#exit;
    return this.#child.exitCode;
  }
}
