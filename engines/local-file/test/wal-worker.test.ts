import { EventEmitter, once } from 'node:events';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { CONTROL, type FromWorker, type ToWorker } from '../src/wal/channel.ts';
import { Ring } from '../src/wal/ring.ts';
import { WalWorker } from '../src/wal/wal-worker.ts';

/** Threads that were started; none of them runs: the test speaks for it. */
const threads = vi.hoisted(() => [] as Thread[]);

interface Thread extends EventEmitter {
  readonly url: URL;
  readonly options: { readonly workerData: Record<string, unknown>; readonly [other: string]: unknown };
}

vi.mock('node:worker_threads', async (original) => ({
  ...(await original<typeof import('node:worker_threads')>()),
  Worker: class extends EventEmitter {
    readonly url: URL;
    readonly options: Thread['options'];

    constructor(url: URL, options: Thread['options']) {
      super();
      this.url = url;
      this.options = options;
      threads.push(this);
    }
  },
}));

const START = { fs: { module: 'm', options: 1 }, dir: 'wal', fileBytes: 8192, generation: 3, position: 40 };
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function begin() {
  const ring = new Ring(1000);
  const worker = new WalWorker(ring, START);
  const thread = threads.at(-1);
  if (thread === undefined) throw new Error('no thread was started');
  const port = thread.options.workerData.port as MessagePort; // as a channel gives it
  const heard: FromWorker[] = [];
  let hear = (): void => {};
  worker.listen((message) => {
    heard.push(message);
    hear();
  });
  const say = (message: FromWorker): Promise<void> => {
    const arrived = new Promise<void>((resolve) => {
      hear = resolve;
    });
    port.postMessage(message);
    return arrived;
  };
  const grant = (sequence: number): void =>
    worker.send({ kind: 'file', file: { path: 'x', sequence, zeroedBytes: 0 } });
  const sent = (): ToWorker[] => {
    const all: ToWorker[] = [];
    for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port))
      all.push(got.message);
    return all;
  };
  const mail = (): number => Atomics.load(new Int32Array(ring.control), CONTROL.mail);
  return { ring, worker, thread, port, heard, say, grant, sent, mail };
}

afterEach(() => {
  for (const thread of threads.splice(0)) (thread.options.workerData.port as MessagePort).close(); // as above
});

test('the thread gets the memory that it shares, its end of the channel, and no flags', () => {
  const { ring, thread, port } = begin();
  expect(thread.url.pathname).toMatch(/\/wal\/worker\.ts$/);
  expect(thread.options.workerData).toEqual({ ...START, ring: ring.memory, control: ring.control, port });
  expect(thread.options).toMatchObject({ transferList: [port], execArgv: [] });
});

test('what is sent arrives in order, and there is mail for each', () => {
  const { worker, grant, sent, mail } = begin();
  grant(1);
  worker.send({ kind: 'retry' });
  expect(mail()).toBe(2);
  expect(sent().map(({ kind }) => kind)).toEqual(['file', 'retry']);
});

test('a file is out from its grant until it was left, a later one was entered, or the thread has failed', async () => {
  const { worker, heard, say, grant } = begin();
  for (const sequence of [1, 2, 3, 4]) grant(sequence);
  worker.send({ kind: 'retry' });
  expect(worker.grantsOut).toBe(4);
  worker.entered(2);
  expect(worker.grantsOut).toBe(3);
  await say({ kind: 'progress' });
  expect(worker.grantsOut).toBe(3);
  await say({ kind: 'left', sequence: 2, zeroedBytes: 8192 });
  expect(worker.grantsOut).toBe(2);
  await say({ kind: 'failed', code: 'EIO', detail: 'x', sequence: 3 });
  expect(worker.grantsOut).toBe(0);
  expect(heard.map(({ kind }) => kind)).toEqual(['progress', 'left', 'failed']);
});

test('a thread that ends without being told to is a failure, of the file that it was in, and told of once', () => {
  for (const detail of ['odd', 'the thread ended']) {
    const { worker, thread, heard } = begin();
    worker.entered(7);
    if (detail === 'odd') thread.emit('error', new Error('odd'));
    thread.emit('exit', 1);
    expect(heard).toEqual([{ kind: 'failed', code: 'THREAD', detail, sequence: 7 }]);
  }
});

test('stopping tells the thread once, is done when it has ended, and lets go of the channel', async () => {
  const { worker, thread, heard, port, sent } = begin();
  let done = 0;
  const stops = [worker.stop(), worker.stop()].map((stop) => stop.then(() => done++));
  await later();
  expect(sent()).toEqual([{ kind: 'stop' }]);
  expect(done).toBe(0);
  const closed = once(port, 'close');
  // what goes wrong at its end concerns nobody
  thread.emit('error', new Error('late'));
  thread.emit('exit', 0);
  await Promise.all(stops);
  await closed;
  expect(heard).toEqual([]);
});

test('a thread that has ended by itself is told nothing when it is to stop', async () => {
  const { worker, thread, sent } = begin();
  thread.emit('exit', 1);
  await worker.stop();
  expect(sent()).toEqual([]);
});
