/** The thread that owns the WAL's disk: it sleeps until entries are published, writes all of them as one group, says so. */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { SyncFileSystem } from '@robustmq/core';
import { CONTROL, type FromWorker, type ToWorker, type WorkerStart } from './channel.ts';
import { GroupWriter, NoRoom } from './group-writer.ts';

const start: WorkerStart & { readonly port: MessagePort } = workerData;
const control = new Int32Array(start.control);

const module: { createSyncFileSystem(options: unknown): SyncFileSystem | Promise<SyncFileSystem> } = await import(
  start.fs.module
);
const writer = new GroupWriter(await module.createSyncFileSystem(start.fs.options), start);
let published = 0;
let mail = 0;
/** While true, only a message can change anything. */
let waitsForMail = false;
/** While true, the file in use has failed, and what is published is void until `resume`. */
let failed = false;
let running = true;

while (running) {
  const wake = Atomics.load(control, CONTROL.wake);
  readMail();
  const ready = Atomics.load(control, CONTROL.published);
  if (running && ready !== published && !waitsForMail && !failed) commit(ready);
  else if (running) sleep(wake);
}
writer.close();
say({ kind: 'stopped' });
start.port.close();

function commit(ready: number): void {
  const bytes = (ready - published) | 0;
  try {
    try {
      writer.makeRoom(bytes);
    } finally {
      const left = writer.takeLeft();
      if (left !== undefined) say({ kind: 'left', ...left });
    }
    writer.write(bytes);
    published = ready;
    progress();
  } catch (error) {
    if (error instanceof NoRoom) {
      waitsForMail = true;
      if (error.detail !== undefined) say({ kind: 'full', detail: error.detail });
      return;
    }
    failed = true;
    const { code, message } = error as { code?: string; message: string };
    say({ kind: 'failed', code: code ?? 'EIO', detail: message, sequence: writer.sequence });
    writer.abandonFile();
  }
}

function readMail(): void {
  const count = Atomics.load(control, CONTROL.mail);
  if (count === mail) return;
  mail = count;
  waitsForMail = false;
  for (let got = receiveMessageOnPort(start.port); got !== undefined; got = receiveMessageOnPort(start.port)) {
    const message: ToWorker = got.message;
    if (message.kind === 'file') writer.grant(message.file);
    else if (message.kind === 'stop') running = false;
    else if (message.kind === 'resume') {
      failed = false;
      published = message.published;
      writer.resume(message.position, message.ringOffset);
    }
  }
}

/** The flag goes up before the last look, and the main thread looks at the flag after it has published: no wake-up is lost. */
function sleep(wake: number): void {
  Atomics.store(control, CONTROL.sleeping, 1);
  const idle = waitsForMail || failed || Atomics.load(control, CONTROL.published) === published;
  if (idle && Atomics.load(control, CONTROL.mail) === mail) Atomics.wait(control, CONTROL.wake, wake);
  Atomics.store(control, CONTROL.sleeping, 0);
}

/** The main thread clears the flag before its last look: what it has not seen, it is told. */
function progress(): void {
  Atomics.add(control, CONTROL.turn, 1);
  Atomics.store(control, CONTROL.durable, published);
  Atomics.store(control, CONTROL.sequence, writer.sequence);
  Atomics.store(control, CONTROL.offset, writer.offset);
  Atomics.add(control, CONTROL.turn, 1);
  if (Atomics.exchange(control, CONTROL.told, 1) === 0) say({ kind: 'progress' });
}

function say(message: FromWorker): void {
  start.port.postMessage(message);
}
