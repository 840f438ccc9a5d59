import type { SyncFileSystem } from '@robustmq/core';
import { CONTROL, type FromWorker, type ToWorker, type WorkerStart } from '../src/wal/channel.ts';
import { GroupWriter, NoRoom } from '../src/wal/group-writer.ts';
import type { Ring } from '../src/wal/ring.ts';

/**
 * The log's thread without a thread, for mutation testing (`vitest.stryker-engine.config.ts`): it writes the same files through the same
 * `GroupWriter`, in the main thread, so that an engine starts in a few milliseconds. What the thread itself does has tests of its own.
 */
export class WalWorker {
  readonly #ring: Ring;
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #ended: Promise<void>;
  #listener: (message: FromWorker) => void = () => {};
  #mail: ToWorker[] = [];
  #granted: number[] = [];
  #published = 0;
  #waitsForMail = false;
  #failed = false;
  #running = true;

  constructor(ring: Ring, start: Omit<WorkerStart, 'ring' | 'control'>) {
    this.#ring = ring;
    this.#control = new Int32Array(ring.control);
    this.#ended = this.#run({ ...start, ring: ring.memory, control: ring.control });
  }

  listen(listener: (message: FromWorker) => void): void {
    this.#listener = listener;
  }

  get grantsOut(): number {
    return this.#granted.length;
  }

  send(message: ToWorker): void {
    if (message.kind === 'file') this.#granted.push(message.file.sequence);
    this.#mail.push(message);
    this.#ring.mailSent();
  }

  entered(sequence: number): void {
    this.#granted = this.#granted.filter((granted) => granted >= sequence);
  }

  async stop(): Promise<void> {
    this.send({ kind: 'stop' });
    await this.#ended;
  }

  async #run(start: WorkerStart): Promise<void> {
    const module: { createSyncFileSystem(options: unknown): SyncFileSystem | Promise<SyncFileSystem> } = await import(
      start.fs.module
    );
    const writer = new GroupWriter(await module.createSyncFileSystem(start.fs.options), start);
    while (this.#running) {
      const wake = Atomics.load(this.#control, CONTROL.wake);
      this.#readMail(writer);
      const ready = Atomics.load(this.#control, CONTROL.published);
      if (this.#running && ready !== this.#published && !this.#waitsForMail && !this.#failed)
        this.#commit(writer, ready);
      else if (this.#running) await this.#sleep(wake);
    }
    writer.close();
  }

  async #sleep(wake: number): Promise<void> {
    Atomics.store(this.#control, CONTROL.sleeping, 1);
    const woken = waiting.waitAsync(this.#control, CONTROL.wake, wake);
    await woken.value;
    Atomics.store(this.#control, CONTROL.sleeping, 0);
  }

  #commit(writer: GroupWriter, ready: number): void {
    const bytes = (ready - this.#published) | 0;
    try {
      try {
        writer.makeRoom(bytes);
      } finally {
        const left = writer.takeLeft();
        if (left !== undefined) this.#say({ kind: 'left', ...left });
      }
      writer.write(bytes);
      this.#published = ready;
      this.#progress(writer);
    } catch (error) {
      if (error instanceof NoRoom) {
        this.#waitsForMail = true;
        if (error.detail !== undefined) this.#say({ kind: 'full', detail: error.detail });
        return;
      }
      this.#failed = true;
      const { code, message } = error as { code?: string; message: string };
      this.#say({ kind: 'failed', code: code ?? 'EIO', detail: message, sequence: writer.sequence });
      writer.abandonFile();
    }
  }

  #readMail(writer: GroupWriter): void {
    for (const message of this.#mail.splice(0)) {
      this.#waitsForMail = false;
      if (message.kind === 'file') writer.grant(message.file);
      else if (message.kind === 'stop') this.#running = false;
      else if (message.kind === 'resume') {
        this.#failed = false;
        this.#published = message.published;
        writer.resume(message.position, message.ringOffset);
      }
    }
  }

  #progress(writer: GroupWriter): void {
    Atomics.add(this.#control, CONTROL.turn, 1);
    Atomics.store(this.#control, CONTROL.durable, this.#published);
    Atomics.store(this.#control, CONTROL.sequence, writer.sequence);
    Atomics.store(this.#control, CONTROL.offset, writer.offset);
    Atomics.add(this.#control, CONTROL.turn, 1);
    if (Atomics.exchange(this.#control, CONTROL.told, 1) === 0) this.#say({ kind: 'progress' });
  }

  /** As a message between threads: heard in a turn of its own. */
  #say(message: FromWorker): void {
    setImmediate(() => {
      if (message.kind === 'left') this.#granted = this.#granted.filter((sequence) => sequence > message.sequence);
      else if (message.kind === 'failed') this.#granted = [];
      this.#listener(message);
    });
  }
}

/** As `Atomics.wait`, without stopping the thread: Node has it, the library that the compiler is set to does not. */
const waiting = Atomics as unknown as {
  waitAsync(ints: Int32Array, index: number, value: number): { readonly value: string | Promise<string> };
};
