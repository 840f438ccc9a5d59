import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CONTROL, CONTROL_INTS, type FromWorker, type ToWorker } from '../src/wal/channel.ts';
import { readGroupHeader } from '../src/wal/frames.ts';
import { coded, ScriptedDisk } from './scripted-disk.ts';

/** What the thread sees of the world, in this thread: each time it falls asleep the next step of the script is done. */
const thread = vi.hoisted(() => ({
  data: {} as unknown,
  letters: [] as unknown[],
}));

vi.mock('node:worker_threads', async (original) => ({
  ...(await original<typeof import('node:worker_threads')>()),
  get workerData() {
    return thread.data;
  },
  receiveMessageOnPort: () => {
    const message = thread.letters.shift();
    return message === undefined ? undefined : { message };
  },
}));

const FILE_BYTES = 8192;

class Script {
  readonly disk = new ScriptedDisk();
  readonly control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_INTS));
  readonly said: FromWorker[] = [];
  closed = false;
  published = 0;

  send(...messages: readonly ToWorker[]): void {
    thread.letters.push(...messages);
    Atomics.add(this.control, CONTROL.mail, 1);
  }

  file(path: string, sequence: number): ToWorker {
    return { kind: 'file', file: { path, sequence, zeroedBytes: 0 } };
  }

  publish(bytes: number): void {
    this.published += bytes;
    Atomics.store(this.control, CONTROL.published, this.published);
  }

  /** Does one step each time the thread sleeps, then stops it. */
  async run(...steps: readonly (() => void)[]): Promise<void> {
    const left = [...steps, () => this.send({ kind: 'stop' })];
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      const step = left.shift();
      if (step === undefined) throw new Error('it sleeps for ever');
      step();
      return 'ok';
    });
    thread.data = {
      ring: new SharedArrayBuffer(4096),
      control: this.control.buffer,
      fs: { module: new URL('./scripted-disk.ts', import.meta.url).href, options: this.disk },
      dir: 'wal',
      fileBytes: FILE_BYTES,
      generation: 1,
      position: 0,
      port: {
        postMessage: (message: FromWorker) => void this.said.push(message),
        close: () => {
          this.closed = true;
        },
      },
    };
    vi.resetModules();
    await import('../src/wal/worker.ts');
  }

  durable(): number {
    return Atomics.load(this.control, CONTROL.durable);
  }
}

let script: Script;
beforeEach(() => {
  script = new Script();
});
afterEach(() => {
  vi.restoreAllMocks();
  thread.letters.length = 0;
});

test('what is published is one group, and the counters say so', async () => {
  script.send(script.file('a', 7));
  await script.run(
    () => script.publish(100),
    () => {
      expect(script.durable()).toBe(100);
      expect(Atomics.load(script.control, CONTROL.sequence)).toBe(7);
      expect(Atomics.load(script.control, CONTROL.offset)).toBe(4096);
      expect(Atomics.load(script.control, CONTROL.turn)).toBe(2);
      script.publish(50);
    },
    () => expect(script.durable()).toBe(150),
  );
  expect(script.said).toEqual([{ kind: 'progress' }, { kind: 'stopped' }]);
  expect(readGroupHeader(script.disk.files.get('a') ?? Buffer.alloc(0), 4096)).toMatchObject({ start: 100, bytes: 50 });
});

test('one message about progress is under way at most, and one more once that was heard', async () => {
  script.send(script.file('a', 1));
  await script.run(
    () => script.publish(10),
    () => {
      Atomics.store(script.control, CONTROL.told, 0);
      script.publish(10);
    },
  );
  expect(script.said).toEqual([{ kind: 'progress' }, { kind: 'progress' }, { kind: 'stopped' }]);
  expect(script.closed).toBe(true);
  expect(script.disk.calls.at(-1)).toBe('close a');
});

test('without a file it waits for one, and says nothing', async () => {
  script.publish(10);
  await script.run(
    () => {
      expect(script.durable()).toBe(0);
      script.publish(10);
    },
    () => {
      expect(script.durable()).toBe(0);
      script.send(script.file('a', 1));
    },
    () => expect(script.durable()).toBe(20),
  );
  expect(script.said).toEqual([{ kind: 'progress' }, { kind: 'stopped' }]);
});

test('without room it says why, and tries again when it is told to, not before', async () => {
  script.send(script.file('a', 1));
  script.disk.fault = (call) => (call === 'write' ? coded('ENOSPC') : undefined);
  await script.run(
    () => script.publish(10),
    () => {
      expect(script.said).toEqual([{ kind: 'full', detail: 'it said ENOSPC' }]);
      script.publish(10);
    },
    () => {
      expect(script.said.length).toBe(1);
      script.disk.fault = () => undefined;
      script.send({ kind: 'retry' });
    },
    () => expect(script.durable()).toBe(20),
  );
  expect(readGroupHeader(script.disk.files.get('a') ?? Buffer.alloc(0), 0)).toMatchObject({ start: 0, bytes: 20 });
});

test('after a failed write nothing is written until it is told where to go on, in a file that was not written before', async () => {
  script.send(script.file('a', 1), script.file('b', 2));
  await script.run(
    () => script.publish(10),
    () => {
      script.disk.fault = (call) => (call === 'write' ? coded('EIO') : undefined);
      script.publish(10);
    },
    () => {
      expect(script.said.at(-1)).toEqual({ kind: 'failed', code: 'EIO', detail: 'it said EIO', sequence: 1 });
      expect(script.disk.calls.at(-1)).toBe('close a');
      script.disk.fault = () => undefined;
      script.publish(10);
    },
    () => {
      expect(script.durable()).toBe(10);
      script.send(script.file('c', 3), { kind: 'resume', position: 500, published: 30, ringOffset: 30 });
    },
    () => {
      expect(script.durable()).toBe(10);
      script.publish(5);
    },
    () => expect(script.durable()).toBe(35),
  );
  expect(readGroupHeader(script.disk.files.get('c') ?? Buffer.alloc(0), 0)).toMatchObject({
    start: 500,
    previousEnd: 10,
    bytes: 5,
  });
  expect(script.disk.files.has('b')).toBe(false);
});

test('a failure without a code is one of input and output', async () => {
  script.send(script.file('a', 1));
  script.disk.fault = (call) => (call.startsWith('open') ? new Error('odd') : undefined);
  await script.run(() => script.publish(10));
  expect(script.said[0]).toEqual({ kind: 'failed', code: 'EIO', detail: 'odd', sequence: 0 });
});

test('a file that is full is told of when it has been left, even if the next one fails', async () => {
  script.send(script.file('a', 1), script.file('b', 2));
  await script.run(
    () => script.publish(3000),
    () => script.publish(3000),
    () => {
      script.disk.fault = (call, path) => (call === 'write' && path === 'b' ? coded('EIO') : undefined);
      script.publish(3000);
    },
  );
  expect(script.said).toEqual([
    { kind: 'progress' },
    { kind: 'left', sequence: 1, zeroedBytes: FILE_BYTES },
    { kind: 'failed', code: 'EIO', detail: 'it said EIO', sequence: 2 },
    { kind: 'stopped' },
  ]);
});

test('what is published while it falls asleep is not slept through', async () => {
  const store = Atomics.store as (ints: Int32Array, index: number, value: number) => number; // as below
  let late = true;
  vi.spyOn(Atomics, 'store').mockImplementation(((ints: Int32Array, index: number, value: number): number => {
    const stored = store(ints, index, value);
    if (late && index === CONTROL.sleeping && value === 1) {
      late = false;
      script.publish(10);
    }
    return stored;
  }) as never);
  script.send(script.file('a', 1));
  await script.run(() => expect(script.durable()).toBe(10));
  expect(late).toBe(false);
});

test('a message that comes while it falls asleep is not slept through', async () => {
  const load = Atomics.load as (ints: Int32Array, index: number) => number; // of all there are, the one used here
  let late = true;
  const loadLate = (ints: Int32Array, index: number): number => {
    // between the last look at what is published and the one at the mail
    if (late && index === CONTROL.mail && load(ints, CONTROL.sleeping) === 1) {
      late = false;
      script.send(script.file('a', 1));
      script.publish(10);
    }
    return load(ints, index);
  };
  vi.spyOn(Atomics, 'load').mockImplementation(loadLate as never);
  await script.run(() => expect(script.durable()).toBe(10));
  expect(late).toBe(false);
});
