import { type FileSystem, StorageError } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { expect, test } from 'vitest';
import { CONTROL, type FromWorker, type ToWorker } from '../src/wal/channel.ts';
import type { FilePreparer } from '../src/wal/file-preparer.ts';
import { ENTRY_HEADER_BYTES, entryBytes, KIND, readEntryHeader } from '../src/wal/frames.ts';
import { Ring } from '../src/wal/ring.ts';
import { Wal } from '../src/wal/wal.ts';
import { WalFiles } from '../src/wal/wal-files.ts';
import type { WalWorker } from '../src/wal/wal-worker.ts';
import { isBodyWhole } from '../src/wal/whole-body.ts';
import { batch } from './batches.ts';

const START = 1000;
const GENERATION = 3;
const MARK_MS = 50;
const FILE_BYTES = 16 * 1024;
const FIELDS = { number: 5, epoch: 2, offset: 9 };
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The log's thread, moved by hand: it says what the test has it say. */
class Thread {
  readonly sent: ToWorker[] = [];
  granted: number[] = [];
  stopped = false;
  readonly #control: Int32Array;
  #listener: (message: FromWorker) => void = () => {};

  constructor(ring: Ring) {
    this.#control = new Int32Array(ring.control);
  }

  get grantsOut(): number {
    return this.granted.length;
  }

  get files(): number[] {
    return this.sent.flatMap((message) => (message.kind === 'file' ? [message.file.sequence] : []));
  }

  get published(): number {
    return Atomics.load(this.#control, CONTROL.published);
  }

  listen(listener: (message: FromWorker) => void): void {
    this.#listener = listener;
  }

  send(message: ToWorker): void {
    if (message.kind === 'file') this.granted.push(message.file.sequence);
    this.sent.push(message);
  }

  entered(sequence: number): void {
    this.granted = this.granted.filter((one) => one >= sequence);
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }

  say(message: FromWorker): void {
    if (message.kind === 'failed') this.granted = [];
    this.#listener(message);
  }

  /** So many bytes of entries, of all that ever were, are on the disk. */
  write(durable: number, sequence = 1, offset = 4096): void {
    Atomics.add(this.#control, CONTROL.turn, 2);
    Atomics.store(this.#control, CONTROL.durable, durable);
    Atomics.store(this.#control, CONTROL.sequence, sequence);
    Atomics.store(this.#control, CONTROL.offset, offset);
  }

  /** As {@link write}, and tells of it, unless it has told and nobody has looked since. */
  async wrote(durable: number, sequence = 1, offset = 4096): Promise<void> {
    this.write(durable, sequence, offset);
    if (Atomics.exchange(this.#control, CONTROL.told, 1) === 0) this.say({ kind: 'progress' });
    await later();
    await later();
  }
}

interface Options {
  readonly ringBytes?: number;
  readonly limit?: number;
  readonly prepares?: boolean;
}

function begin({ ringBytes = 4096, limit = 4, prepares = true }: Options = {}) {
  const ring = new Ring(ringBytes);
  const thread = new Thread(ring);
  const clock = new VirtualClock();
  const told: string[] = [];
  const hooks = { progress: (): void => {} };
  const made = { count: 0, prepares, finish: (): void => {} };
  // all that is asked for here
  const preparer = {
    fileBytes: FILE_BYTES,
    busy: false,
    prepare: (): Promise<boolean> => {
      made.count++;
      preparer.busy = true;
      return new Promise((resolve) => {
        made.finish = () => {
          preparer.busy = false;
          resolve(made.prepares);
        };
      });
    },
    stop: async () => void told.push('preparer stopped'),
  };
  const files = new WalFiles({} as FileSystem, 'wal', limit, [], { generation: GENERATION, nextSequence: 1 });
  const wal = new Wal({
    ...{ ring, files, clock, generation: GENERATION, position: START, markIdleMs: MARK_MS },
    worker: thread as unknown as WalWorker,
    preparer: preparer as unknown as FilePreparer,
    onFailure: (code, detail) => {
      told.push(`failed ${code} ${detail}`);
      return new StorageError('IO_ERROR', detail);
    },
    onFull: (detail) => told.push(`full ${detail}`),
    onDead: (error) => told.push(`dead ${error.message}`),
    onProgress: () => {
      told.push('progress');
      hooks.progress();
    },
  });
  const settled: string[] = [];
  /** An append of one batch, which is called by its offset in `settled`. */
  const append = (offset: number, payloadBytes = 39): number => {
    const bytes = batch(offset, payloadBytes);
    wal.append(5, 2, offset, 1, [bytes], bytes.length, {
      end: 0,
      durable: () => void settled.push(`${offset}`),
      failed: (error) => void settled.push(`${offset} ${error.code}`),
    });
    return entryBytes(bytes.length);
  };
  return { ring, thread, clock, told, hooks, made, files, wal, settled, append };
}

/** A body of 100 bytes, with header and padding. */
const SIZE = entryBytes(100);

test('an append is an entry that reads back whole, at its position, one behind the other', async () => {
  const { ring, wal, append, thread } = begin();
  const batches = [batch(0, 10), batch(1, 22)];
  const bytes = batches.reduce((sum, one) => sum + one.length, 0);
  wal.append(7, 2, 0, 2, batches, bytes, { end: 0, durable: () => {}, failed: () => {} });
  append(2);
  const second = START + entryBytes(bytes);
  expect(wal.position).toBe(second + SIZE);
  const memory = Buffer.from(ring.memory);
  const header = readEntryHeader(memory, 0, START, GENERATION);
  expect(header).toMatchObject({
    kind: KIND.append,
    parts: 2,
    number: 7,
    epoch: 2,
    offset: 0,
    count: 2,
    bodyBytes: bytes,
  });
  expect(header !== undefined && isBodyWhole(memory, 0, header)).toBe(true);
  const next = readEntryHeader(memory, second - START, second, GENERATION);
  expect(next).toMatchObject({ kind: KIND.append, parts: 1, number: 5, offset: 2, count: 1 });
  expect(next !== undefined && isBodyWhole(memory, second - START, next)).toBe(true);
  // what comes in one turn is one group
  expect(thread.published).toBe(0);
  await later();
  expect(thread.published).toBe(wal.position - START);
  append(3);
  await later();
  expect(thread.published).toBe(wal.position - START);
});

test('any other entry reads back whole, too, and is told of in its turn once it is on the disk', async () => {
  const { ring, wal, settled, append, thread } = begin();
  append(0);
  const written = wal.write('seal', FIELDS, Buffer.from('who'), () => void settled.push('seal'));
  append(1);
  await later();
  const memory = Buffer.from(ring.memory);
  const header = readEntryHeader(memory, SIZE, START + SIZE, GENERATION);
  expect(header).toMatchObject({ kind: KIND.seal, parts: 0, count: 0, ...FIELDS, bodyBytes: 3 });
  expect(header !== undefined && isBodyWhole(memory, SIZE, header)).toBe(true);
  await thread.wrote(SIZE + entryBytes(3));
  await written;
  expect(settled).toEqual(['0', 'seal']);
});

test('what is on the disk settles in order, and nothing that is not', async () => {
  const { wal, settled, append, thread, ring, told } = begin();
  for (const offset of [0, 1, 2]) append(offset);
  await later();
  await thread.wrote(2 * SIZE - 8, 1, 8192);
  expect(settled).toEqual(['0']);
  await thread.wrote(2 * SIZE, 1, 12_288);
  expect(settled).toEqual(['0', '1']);
  expect(wal.durable).toEqual({ position: START + 2 * SIZE, sequence: 1, offset: 12_288 });
  expect(ring.free).toBe(4096 - SIZE);
  append(3);
  await thread.wrote(4 * SIZE, 2);
  expect(settled).toEqual(['0', '1', '2', '3']);
  expect(wal.durable).toEqual({ position: wal.position, sequence: 2, offset: 4096 });
  expect(told.filter((one) => one === 'progress').length).toBeGreaterThanOrEqual(3);
});

test('thousands settle in several turns; the log is durable up to the last of them when all have settled', async () => {
  const { wal, settled, append, thread, ring } = begin({ ringBytes: 2 * 1024 * 1024 });
  for (let offset = 0; offset < 6000; offset++) append(offset);
  thread.write(5500 * SIZE);
  thread.say({ kind: 'progress' });
  await later();
  expect(settled.length).toBe(1024);
  expect(wal.durable.position).toBe(START);
  expect(ring.free).toBe(2 * 1024 * 1024 - (6000 - 1024) * SIZE);
  for (let turn = 0; turn < 8; turn++) await later();
  expect(settled.length).toBe(5500);
  expect(wal.durable.position).toBe(START + 5500 * SIZE);
  await thread.wrote(6000 * SIZE);
  expect(settled).toEqual(Array.from({ length: 6000 }, (_, offset) => `${offset}`));
});

test('a flush waits for what came before it, and for no more', async () => {
  const { wal, settled, append, thread } = begin();
  await wal.settledSoFar();
  append(0);
  const flushed = wal.settledSoFar().then(() => settled.push('flushed'));
  append(1);
  await thread.wrote(SIZE);
  await flushed;
  expect(settled).toEqual(['0', 'flushed']);
  const failed = wal.settledSoFar();
  thread.say({ kind: 'failed', code: 'EIO', detail: 'x', sequence: 1 });
  await failed;
  expect(settled).toEqual(['0', 'flushed', '1 IO_ERROR']);
});

test('a failed write fails what is not on the disk, and only that, and the log goes on in another file', async () => {
  const { wal, settled, append, thread, ring, told } = begin();
  append(0);
  append(1);
  append(2);
  // the first is on the disk, and nobody has looked yet
  thread.write(SIZE);
  thread.say({ kind: 'failed', code: 'EIO', detail: 'gone', sequence: 1 });
  expect(settled).toEqual(['0', '1 IO_ERROR', '2 IO_ERROR']);
  expect(told).toContain('failed EIO gone');
  expect(wal.dead).toBeUndefined();
  expect(ring.free).toBe(4096);
  // before the thread is woken: what is void must not look like something new
  expect(thread.published).toBe(3 * SIZE);
  const resume = thread.sent.at(-1);
  expect(resume).toEqual({ kind: 'resume', position: START + 3 * SIZE, published: 3 * SIZE, ringOffset: 3 * SIZE });
  // a file that is given before: the one that failed and the one behind it are not written again
  expect(thread.files.slice(-1)).toEqual([2]);
  append(3);
  await thread.wrote(4 * SIZE, 2);
  expect(settled.at(-1)).toBe('3');
});

test('when the thread ends nothing is written any more, and all that comes after is refused', async () => {
  const { wal, settled, append, thread, told } = begin();
  append(0);
  const waiting = wal.write('fence', FIELDS, Buffer.alloc(8000)).catch((error: StorageError) => error.code);
  thread.say({ kind: 'failed', code: 'THREAD', detail: 'it ended', sequence: 1 });
  expect(settled).toEqual(['0 IO_ERROR']);
  expect(await waiting).toBe('IO_ERROR');
  expect(wal.dead?.code).toBe('IO_ERROR');
  expect(told).toContain('dead it ended');
  expect(thread.sent.some((message) => message.kind === 'resume')).toBe(false);
  await expect(wal.write('seal', FIELDS)).rejects.toBe(wal.dead);
});

test('files that fail one after the other are the end of the log', () => {
  const { wal, thread, told } = begin();
  for (let sequence = 1; sequence <= 30 && wal.dead === undefined; sequence++)
    thread.say({ kind: 'failed', code: 'EIO', detail: `${sequence}`, sequence });
  expect(wal.dead).toBeDefined();
  expect(told.at(-1)).toMatch(/^dead 2\d$/);
});

test('whoever waits for room is served in turn, and nobody overtakes', async () => {
  const { wal, settled, append, thread } = begin({ ringBytes: 3 * SIZE });
  for (const offset of [0, 1, 2]) append(offset);
  expect([wal.hasRoom(100), wal.hasRoom(0)]).toEqual([false, false]);
  const large = wal.write('seal', FIELDS, Buffer.alloc(100), () => void settled.push('large'));
  await thread.wrote(entryBytes(0), 1);
  expect(settled).toEqual([]);
  // there would be room for a small one, behind the one that waits
  expect(wal.hasRoom(0)).toBe(true);
  const small = wal.room(0);
  expect(small).toBeDefined();
  await thread.wrote(2 * SIZE);
  await small;
  expect(wal.position).toBe(START + 4 * SIZE);
  expect(wal.room(0)).toBeUndefined();
  await thread.wrote(4 * SIZE);
  await large;
  expect(settled).toEqual(['0', '1', '2', 'large']);
});

test('one that was woken and finds its room taken waits again', async () => {
  const { wal, settled, append, thread, hooks } = begin({ ringBytes: 2 * SIZE });
  append(0);
  append(1);
  const sealed = wal.write('seal', FIELDS, Buffer.alloc(100), () => void settled.push('seal'));
  // whoever goes on in the same turn is quicker than those who were woken
  hooks.progress = () => {
    hooks.progress = () => {};
    append(2);
  };
  await thread.wrote(SIZE);
  expect(wal.position).toBe(START + 3 * SIZE);
  await thread.wrote(3 * SIZE);
  await thread.wrote(4 * SIZE);
  await sealed;
  expect(settled).toEqual(['0', '1', '2', 'seal']);
});

test('a disk without room is told of; once the log is told to wait no more, all that waits fails', async () => {
  const { wal, settled, append, thread, told } = begin({ ringBytes: 2 * SIZE });
  append(0);
  append(1);
  thread.say({ kind: 'full', detail: 'no room' });
  expect([told.at(-1), settled]).toEqual(['full no room', []]);
  wal.retryRoom();
  expect(thread.sent.at(-1)).toEqual({ kind: 'retry' });
  // the first got there, and nobody has looked yet; the last has no room in the ring for its size
  const waiting = wal.room(300);
  thread.write(SIZE);
  await wal.stopWaiting(new StorageError('CLOSED', 'over'));
  expect(settled).toEqual(['0', '1 CLOSED']);
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
});

test('what was written between two looks is seen, though no message tells of it', async () => {
  const { settled, append, thread, hooks } = begin();
  append(0);
  append(1);
  hooks.progress = () => {
    hooks.progress = () => {};
    thread.write(2 * SIZE);
  };
  await thread.wrote(SIZE);
  await later();
  expect(settled).toEqual(['0', '1']);
});

test('closing ends when what is on its way fails', async () => {
  const { wal, append, thread, settled, told } = begin();
  append(0);
  const closed = wal.close();
  await later();
  thread.say({ kind: 'failed', code: 'EIO', detail: 'gone', sequence: 1 });
  await closed;
  thread.say({ kind: 'stopped' });
  expect(settled).toEqual(['0 IO_ERROR']);
  expect(told.filter((one) => one.startsWith('failed'))).toEqual(['failed EIO gone']);
});

test('a log that is told to wait no more goes on while there is room, and fails when there is none', async () => {
  const { wal, settled, append, thread } = begin();
  append(0);
  thread.say({ kind: 'full', detail: 'no room' });
  await thread.wrote(SIZE);
  append(1);
  append(2);
  const stopped = wal.stopWaiting(new StorageError('CLOSED', 'over')).then(() => settled.push('stopped'));
  expect(settled).toEqual(['0']);
  await thread.wrote(2 * SIZE);
  expect(settled).toEqual(['0', '1']);
  thread.say({ kind: 'full', detail: 'no room' });
  await stopped;
  expect(settled).toEqual(['0', '1', '2 CLOSED', 'stopped']);
});

test('those who wait for room can be told that there will be none for them', async () => {
  const { wal, append } = begin({ ringBytes: SIZE });
  append(0);
  const waiting = wal.room(100);
  wal.failWaiting(new StorageError('FENCED', 'over'));
  await expect(waiting).rejects.toMatchObject({ code: 'FENCED' });
});

test('closing waits for what is on its way, stops the thread, and leaves no timer', async () => {
  const { wal, append, thread, clock, told, settled } = begin();
  append(0);
  await thread.wrote(SIZE);
  expect(clock.pending).toBe(1);
  append(1);
  const closed = wal.close();
  await later();
  expect([told.includes('preparer stopped'), thread.stopped]).toEqual([true, false]);
  await thread.wrote(2 * SIZE);
  await closed;
  expect([settled, thread.stopped, clock.pending]).toEqual([['0', '1'], true, 0]);
});

test('after a moment of quiet one mark proves the last group, and no more until there is another', async () => {
  const { wal, append, thread, clock, ring } = begin();
  append(0);
  await thread.wrote(SIZE);
  await clock.advance(MARK_MS - 1);
  expect(wal.position).toBe(START + SIZE);
  await clock.advance(1);
  expect(wal.position).toBe(START + SIZE + ENTRY_HEADER_BYTES);
  const mark = readEntryHeader(Buffer.from(ring.memory), SIZE, START + SIZE, GENERATION);
  expect(mark).toMatchObject({ kind: KIND.mark, number: 0, epoch: 0, offset: 0, bodyBytes: 0 });
  await thread.wrote(SIZE + ENTRY_HEADER_BYTES);
  await clock.advance(3 * MARK_MS);
  expect([wal.position, clock.pending]).toEqual([START + SIZE + ENTRY_HEADER_BYTES, 0]);
  // no moment of quiet: what follows proves it
  append(1);
  await thread.wrote(2 * SIZE + ENTRY_HEADER_BYTES);
  append(2);
  await clock.advance(MARK_MS);
  expect(wal.position).toBe(START + 3 * SIZE + ENTRY_HEADER_BYTES);
  await thread.wrote(3 * SIZE + ENTRY_HEADER_BYTES);
  await clock.advance(MARK_MS);
  expect(wal.position).toBe(START + 3 * SIZE + 2 * ENTRY_HEADER_BYTES);
});

test('the thread has a file to write and one to go on with, as many as there may be', async () => {
  const { wal, append, thread, made, files } = begin({ limit: 3 });
  expect([thread.files, made.count]).toEqual([[1], 0]);
  append(0);
  await thread.wrote(SIZE, 1, FILE_BYTES / 16 - 1);
  expect(made.count).toBe(0);
  append(1);
  await thread.wrote(2 * SIZE, 1, FILE_BYTES / 16);
  expect(made.count).toBe(1);
  made.finish();
  await later();
  expect(thread.files).toEqual([1, 2]);
  append(2);
  await thread.wrote(3 * SIZE, 1, FILE_BYTES / 2);
  // another one only when the log moves at all
  expect(made.count).toBe(1);
  append(3);
  thread.say({ kind: 'left', sequence: 1, zeroedBytes: FILE_BYTES });
  await thread.wrote(4 * SIZE, 2, 4096);
  expect(thread.granted).toEqual([2]);
  expect(made.count).toBe(2);
  made.finish();
  await later();
  expect(thread.files).toEqual([1, 2, 3]);
  await files.release(2);
  wal.filesReleased();
  expect(thread.files).toEqual([1, 2, 3]);
  append(4);
  thread.say({ kind: 'left', sequence: 2, zeroedBytes: FILE_BYTES });
  await thread.wrote(5 * SIZE, 3, 4096);
  // the first is written again
  wal.filesReleased();
  expect(thread.sent.findLast((message) => message.kind === 'file')).toEqual({
    kind: 'file',
    file: { path: 'wal/000000.wal', sequence: 4, zeroedBytes: FILE_BYTES },
  });
});

test('where no file can be prepared an empty one is given, and the next try waits until something has changed', async () => {
  const { wal, append, thread, made } = begin({ limit: 3, prepares: false });
  append(0);
  await thread.wrote(SIZE, 1, FILE_BYTES / 2);
  expect(made.count).toBe(1);
  made.finish();
  await later();
  expect(thread.files).toEqual([1, 2]);
  thread.say({ kind: 'left', sequence: 1, zeroedBytes: 0 });
  append(1);
  await thread.wrote(2 * SIZE, 2, FILE_BYTES / 2);
  expect(made.count).toBe(2);
  made.finish();
  await later();
  expect(thread.files).toEqual([1, 2, 3]);
  append(2);
  await thread.wrote(3 * SIZE, 3, FILE_BYTES / 2);
  expect(made.count).toBe(2);
  wal.filesReleased();
  expect(thread.files).toEqual([1, 2, 3]);
});
