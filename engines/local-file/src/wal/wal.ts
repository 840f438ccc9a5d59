import { crc32c } from '@node-rs/crc32';
import type { Clock, StorageError, Timer } from '@robustmq/core';
import { crc32cSmall } from '@robustmq/core/crc32c';
import type { FromWorker } from './channel.ts';
import type { FilePreparer } from './file-preparer.ts';
import { BATCH_HEAD_BYTES, entryBytes, HeaderWriter, KIND } from './frames.ts';
import { ReadyQueue } from './ready-queue.ts';
import type { Progress, Ring } from './ring.ts';
import type { WalFiles } from './wal-files.ts';
import type { WalWorker } from './wal-worker.ts';

/** What waits for its entry to be on the disk. Settled in the order of the entries. */
export interface Pending {
  /** Of its entry in the log. */
  end: number;
  durable(): void;
  failed(error: StorageError): void;
}

/** Where reading must begin to see all entries from a position on. */
export interface WalPlace {
  readonly position: number;
  readonly sequence: number;
  readonly offset: number;
}

export interface WalOptions {
  readonly ring: Ring;
  readonly worker: WalWorker;
  readonly files: WalFiles;
  readonly preparer: FilePreparer;
  readonly clock: Clock;
  readonly generation: number;
  readonly position: number;
  readonly markIdleMs: number;
  /** Nothing that is not durable yet will ever settle well: called before the pending ones fail, gives the error they fail with. */
  onFailure(code: string, detail: string): StorageError;
  onFull(detail: string): void;
  /** There is no point in trying again. */
  onDead(error: StorageError): void;
  /** Called after each group. */
  onProgress(): void;
}

/** So many have their turn before the event loop has its own. */
const SETTLED_AT_ONCE = 1024;

/** The next file is prepared when this share of the present one is written: a node that does little writes no zeros. */
const PREPARE_SHARE = 16;

/** The main thread's end of the log: copies entries into the ring, and settles them as the worker reports them on the disk. */
export class Wal {
  readonly #options: WalOptions;
  readonly #ring: Ring;
  readonly #header = new HeaderWriter();
  readonly #ready: ReadyQueue;
  #pending: Pending[] = [];
  #head = 0;
  #position: number;
  #durable: WalPlace;
  /** What the worker has been seen to have done; everything below #durable has been settled, too. */
  readonly #seen: Progress = { turn: 0, behind: 0, sequence: 0, offset: 0 };
  #seenEnd: number;
  #turning = false;
  #publishing = false;
  #markTimer: Timer | undefined;
  /** The end of the last entry that was not a mark. */
  #dataEnd = 0;
  #idle: (() => void)[] = [];
  #closed = false;
  #dead: StorageError | undefined;
  /** The worker waits for room on the disk. */
  #stuck = false;
  #noWaiting: StorageError | undefined;
  /** The log is in its second file, or further. */
  #moved = false;
  /** Preparing a file has failed: it is not tried again at once. */
  #unprepared = false;

  constructor(options: WalOptions) {
    this.#options = options;
    this.#ring = options.ring;
    this.#position = options.position;
    this.#durable = { position: options.position, sequence: 0, offset: 0 };
    this.#seenEnd = options.position;
    this.#ready = new ReadyQueue(options.ring);
    options.worker.listen((message) => this.#hear(message));
    this.#grant();
  }

  /** One past the last entry. */
  get position(): number {
    return this.#position;
  }

  /** Everything in front of it is on the disk, and has been settled. */
  get durable(): WalPlace {
    return this.#durable;
  }

  /** Set when nothing can be written any more. */
  get dead(): StorageError | undefined {
    return this.#dead;
  }

  hasRoom(bodyBytes: number): boolean {
    return entryBytes(bodyBytes) <= this.#ring.free;
  }

  /** `undefined` when an entry of this size fits now, else when it may. Rejects when the log fails meanwhile. */
  room(bodyBytes: number): Promise<void> | undefined {
    // nobody overtakes those who wait
    return this.#ready.empty && this.hasRoom(bodyBytes) ? undefined : this.#ready.wait(entryBytes(bodyBytes));
  }

  /** Puts one append into the ring, which has room for it. `pending` settles later. */
  append(
    number: number,
    epoch: number,
    offset: number,
    count: number,
    batches: readonly Uint8Array[],
    bytes: number,
    pending: Pending,
  ): void {
    let crc = 0;
    for (const batch of batches) crc = crc32cSmall(batch, 0, BATCH_HEAD_BYTES, crc);
    this.#writeHeader(KIND.append, batches.length, number, epoch, offset, count, bytes, crc);
    for (const batch of batches) this.#ring.write(batch);
    this.#finish(bytes, pending);
  }

  /** Any other entry; waits for room if it must. Resolves when it is on the disk. */
  async write(
    kind: Exclude<keyof typeof KIND, 'append'>,
    fields: { readonly number: number; readonly epoch: number; readonly offset: number },
    body: Uint8Array = NOTHING,
    onDurable: () => void = () => {},
  ): Promise<void> {
    let wait = this.room(body.length);
    while (wait !== undefined) {
      await wait;
      // whoever was woken may have been overtaken all the same
      wait = this.hasRoom(body.length) ? undefined : this.room(body.length);
    }
    await this.writeNow(kind, fields, body, onDurable);
  }

  /** As {@link write}, into a ring that has room. `onDurable` runs in the order of the log. */
  writeNow(
    kind: Exclude<keyof typeof KIND, 'append'>,
    fields: { readonly number: number; readonly epoch: number; readonly offset: number },
    body: Uint8Array = NOTHING,
    onDurable: () => void = () => {},
  ): Promise<void> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      this.#writeHeader(KIND[kind], 0, fields.number, fields.epoch, fields.offset, 0, body.length, crc32c(body));
      this.#ring.write(body);
      this.#finish(body.length, {
        end: 0,
        durable: () => {
          onDurable();
          resolve();
        },
        failed: reject,
      });
    });
  }

  /** From now on whatever finds no room on the disk fails instead of waiting for some. Resolves when nothing is on its way. */
  stopWaiting(error: StorageError): Promise<void> {
    this.#noWaiting = error;
    if (this.#stuck) this.#failAll(error);
    return this.#settled();
  }

  #settled(): Promise<void> {
    if (this.#head === this.#pending.length) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Resolves when all that is on its way now has settled, well or not. */
  settledSoFar(): Promise<void> {
    if (this.#head === this.#pending.length) return Promise.resolve();
    return new Promise((resolve) => {
      this.#pending.push({ end: this.#position, durable: resolve, failed: () => resolve() });
    });
  }

  /** Gives the worker files again after some have become free. */
  filesReleased(): void {
    this.#unprepared = false;
    this.#grant();
  }

  retryRoom(): void {
    this.#options.worker.send({ kind: 'retry' });
  }

  /** Wakes those who wait for room: their writers may have failed. */
  failWaiting(error: StorageError): void {
    this.#ready.fail(error);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#options.preparer.stop();
    await this.#settled();
    this.#markTimer?.cancel();
    this.#markTimer = undefined;
    await this.#options.worker.stop();
  }

  #writeHeader(
    kind: number,
    parts: number,
    number: number,
    epoch: number,
    offset: number,
    count: number,
    bodyBytes: number,
    bodyCrc: number,
  ): void {
    const { generation } = this.#options;
    this.#header.entry(kind, parts, generation, this.#position, number, epoch, offset, count, bodyBytes, bodyCrc);
    this.#ring.write(this.#header.entryBytes);
  }

  #finish(bodyBytes: number, pending: Pending): void {
    const bytes = entryBytes(bodyBytes);
    this.#ring.skip((8 - (bodyBytes & 7)) & 7);
    this.#position += bytes;
    pending.end = this.#position;
    this.#pending.push(pending);
    this.#dataEnd = this.#position;
    if (this.#ring.isWaitedFor) this.#ring.publish();
    if (this.#publishing) return;
    // what is appended in the same turn, by what the last group has settled, goes into the same group
    this.#publishing = true;
    process.nextTick(this.#publish);
  }

  readonly #publish = (): void => {
    this.#publishing = false;
    this.#ring.publish();
  };

  #hear(message: FromWorker): void {
    const { files } = this.#options;
    if (message.kind === 'progress') {
      if (this.#turning) return;
      // not here: while messages come in one by one, nothing else has its turn
      this.#turning = true;
      setImmediate(this.#turn);
      return;
    }
    if (message.kind === 'left') {
      files.left(message.sequence, message.zeroedBytes);
      this.#moved = true;
      this.#unprepared = false;
      this.#grant();
    } else if (message.kind === 'full') {
      this.#stuck = true;
      this.#options.onFull(message.detail);
      if (this.#noWaiting !== undefined) this.#failAll(this.#noWaiting);
    } else if (message.kind === 'failed') this.#fail(message);
  }

  /** Once in a round of the event loop while there is anything to settle. */
  readonly #turn = (): void => {
    const more = this.#advance(SETTLED_AT_ONCE);
    if (!more) {
      this.#ring.listenAgain();
      if (!this.#look()) {
        this.#turning = false;
        return;
      }
    }
    setImmediate(this.#turn);
  };

  /** Settles what is on the disk, `most` of it. @returns true when there is more. */
  #advance(most: number): boolean {
    // what was seen is finished first: else the place would never come to rest under load
    if (this.#seenEnd === this.#durable.position && !this.#look()) return false;
    const settled = this.#settle(this.#seenEnd, most);
    const done = settled === this.#seenEnd;
    if (done) {
      const { sequence, offset } = this.#seen;
      if (sequence !== this.#durable.sequence) {
        this.#options.files.entered(sequence);
        this.#options.worker.entered(sequence);
      }
      this.#durable = { position: settled, sequence, offset };
    }
    this.#stuck = false;
    this.#ring.consumed(this.#position - settled);
    this.#compact();
    this.#ready.wake();
    this.#armMark();
    this.#prepare();
    this.#options.onProgress();
    return !done;
  }

  /** Settles all that is on the disk while the worker does nothing. */
  #catchUp(): void {
    while (this.#advance(Number.POSITIVE_INFINITY) || this.#look());
  }

  /** @returns true when more has been written to the disk since the last time */
  #look(): boolean {
    if (!this.#ring.look(this.#seen)) return false;
    this.#seenEnd = this.#position - this.#seen.behind;
    return true;
  }

  /** @returns the position up to which all has settled: `end`, or less when there were more than `most` */
  #settle(end: number, most: number): number {
    let count = 0;
    for (
      let next = this.#pending[this.#head];
      next !== undefined && next.end <= end;
      next = this.#pending[this.#head]
    ) {
      if (count++ === most) return this.#pending[this.#head - 1]?.end ?? end;
      this.#head++;
      next.durable();
    }
    return end;
  }

  #compact(): void {
    if (this.#head === this.#pending.length) {
      this.#pending = [];
      this.#head = 0;
      const idle = this.#idle;
      this.#idle = [];
      for (const wake of idle) wake();
    } else if (this.#head > 4096 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
  }

  /** All that is in flight is void, what was durable stays so. The log goes on in a file that was never written before. */
  #fail(message: Extract<FromWorker, { kind: 'failed' }>): void {
    this.#catchUp();
    const { files, worker } = this.#options;
    const error = this.#options.onFailure(message.code, message.detail);
    if (message.code === 'THREAD' || !files.retire(message.sequence)) {
      this.#dead = error;
      this.#options.onDead(error);
    }
    this.#ring.publish();
    const failed = this.#takePending();
    this.#ring.consumed(0);
    this.#dataEnd = 0;
    if (this.#dead === undefined) {
      this.#grant();
      worker.send({ kind: 'resume', position: this.#position, ...this.#ring.mark() });
    }
    for (const pending of failed) pending.failed(error);
    this.#ready.fail(error);
    this.#compact();
  }

  #failAll(error: StorageError): void {
    this.#catchUp();
    for (const pending of this.#takePending()) pending.failed(error);
    this.#ready.fail(error);
    this.#compact();
  }

  #takePending(): Pending[] {
    const taken = this.#pending.slice(this.#head);
    this.#pending = [];
    this.#head = 0;
    return taken;
  }

  /** The worker has one file that it writes and one to go on with. */
  #grant(): void {
    const { files, worker } = this.#options;
    while (worker.grantsOut < 2) {
      // nobody waits for a file to be prepared before the first append, or after a failure
      const file = files.grant() ?? (worker.grantsOut === 0 ? files.grantEmpty() : undefined);
      if (file === undefined) break;
      worker.send({ kind: 'file', file });
    }
    this.#prepare();
  }

  /** Sees to it that the next file is ready in time, once it looks as if it were going to be needed. */
  #prepare(): void {
    const { files, preparer, worker } = this.#options;
    const { offset } = this.#durable;
    if (preparer.busy || this.#unprepared || this.#closed || this.#dead !== undefined || files.hasFree) return;
    if (worker.grantsOut < 2 ? offset < preparer.fileBytes / PREPARE_SHARE : !this.#moved) return;
    void files.prepare(preparer).then((done) => {
      this.#unprepared = !done;
      if (this.#dead !== undefined) return;
      this.#grant();
      if (done || worker.grantsOut >= 2) return;
      // the worker makes it longer as it goes, and says what it lacks
      const file = files.grantEmpty();
      if (file !== undefined) worker.send({ kind: 'file', file });
    });
  }

  /** The last group's end is proven by nothing until another follows: after a moment of quiet a mark does. */
  #armMark(): void {
    if (this.#markTimer !== undefined || this.#closed || this.#dataEnd !== this.#durable.position) return;
    this.#markTimer = this.#options.clock.timer(this.#options.markIdleMs, () => {
      this.#markTimer = undefined;
      if (this.#closed || this.#dataEnd !== this.#durable.position || !this.hasRoom(0)) return;
      this.writeNow('mark', { number: 0, epoch: 0, offset: 0 }).catch(() => {});
      this.#dataEnd = 0;
    });
  }
}

const NOTHING = new Uint8Array(0);
