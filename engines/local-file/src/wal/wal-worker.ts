import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerStart } from './channel.ts';
import type { Ring } from './ring.ts';

/** The worker thread as the main thread sees it. */
export class WalWorker {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #ring: Ring;
  readonly #exited: Promise<void>;
  #listener: (message: FromWorker) => void = () => {};
  #stopping = false;
  #entered = 0;
  #granted: number[] = [];

  constructor(ring: Ring, start: Omit<WorkerStart, 'ring' | 'control'>) {
    const { port1, port2 } = new MessageChannel();
    this.#ring = ring;
    this.#port = port1;
    this.#worker = new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url),
      {
        name: 'robustmq-wal',
        workerData: { ...start, ring: ring.memory, control: ring.control, port: port2 },
        transferList: [port2],
        // flags of the main thread (a test runner's, a debugger's) are not for it
        execArgv: [],
      },
    );
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#port.on('message', (message: FromWorker) => this.#hear(message));
    this.#worker.on('error', (error: Error) => this.#died(error));
    this.#worker.once('exit', () => this.#died(new Error('the thread ended')));
  }

  listen(listener: (message: FromWorker) => void): void {
    this.#listener = listener;
  }

  /** Files that were granted and are not yet in use, with the one in use. */
  get grantsOut(): number {
    return this.#granted.length;
  }

  send(message: ToWorker): void {
    if (message.kind === 'file') this.#granted.push(message.file.sequence);
    this.#port.postMessage(message);
    this.#ring.mailSent();
  }

  /** It writes into this file now. */
  entered(sequence: number): void {
    this.#entered = sequence;
    this.#granted = this.#granted.filter((granted) => granted >= sequence);
  }

  async stop(): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true;
      this.send({ kind: 'stop' });
    }
    await this.#exited;
    this.#port.close();
  }

  #hear(message: FromWorker): void {
    if (message.kind === 'left') this.#granted = this.#granted.filter((sequence) => sequence > message.sequence);
    else if (message.kind === 'failed') this.#granted = [];
    this.#listener(message);
  }

  /** A fault of this program: nothing will be written any more, and whoever waits must hear of it. */
  #died(error: Error): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#listener({ kind: 'failed', code: 'THREAD', detail: error.message, sequence: this.#entered });
  }
}
