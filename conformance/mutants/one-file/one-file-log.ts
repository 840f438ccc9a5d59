import { crc32 } from 'node:zlib';
import type { EngineContext, FileHandle } from '@robustmq/core';
import { isDiskFull, StorageError } from '@robustmq/core';

/** What one frame does: plain data, with the bytes it is about behind it. */
export interface Step {
  readonly does: string;
  readonly [detail: string]: string | number | readonly number[];
}

export interface Frame {
  readonly step: Step;
  readonly payload: Uint8Array;
  /** Of the payload in the file. */
  readonly position: number;
}

export interface FoundFrame extends Frame {
  readonly proven: number;
  readonly end: number;
  /** Of what was found, and what was written beside it. */
  readonly crc: number;
  readonly stored: number;
}

interface Waiting {
  readonly step: Step;
  readonly payload: readonly Uint8Array[];
  done(position: number): void;
  failed(error: StorageError): void;
}

/** How long the last group stays unproven when nothing comes behind it. */
const IDLE_MS = 20;
const GROUP_STEPS = 16;

/**
 * One append-only file of frames, written in groups: one write and one sync for whatever came while the group before was written. A frame names
 * the end of what was synced before its group, so that damage below that is told from the torn tail of a crash.
 *
 *     0  magic     uint32      4  proven    uint64, as float64   (the file below was synced before this group was written)
 *    12  position  float64    20  step, payload: bytes of each, uint32     28  crc32 of all but itself, uint32     32  step (JSON), payload
 *
 * Each of its steps is a method, so that a mutant can do exactly one of them wrong.
 */
export class OneFileLog {
  protected readonly file: FileHandle;
  protected end = 0;
  /** A write or a sync has failed: what lies behind `end` is cut off before anything else is written. */
  protected ragged = false;
  readonly #ctx: EngineContext;
  readonly #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #idle: { cancel(): void } | undefined;
  #closed = false;

  constructor(file: FileHandle, ctx: EngineContext) {
    this.file = file;
    this.#ctx = ctx;
  }

  /** Reads what is there, cuts a torn tail. @throws CORRUPT */
  async start(replay: (frame: Frame) => void): Promise<void> {
    const bytes = Buffer.alloc(await this.file.size());
    await this.file.read(bytes, 0, bytes.length, 0);
    for (let found = this.frameAt(bytes, 0); found !== undefined; found = this.frameAt(bytes, this.end)) {
      this.end = found.end;
      replay(found);
    }
    if (this.end === bytes.length) return;
    if (this.isProven(bytes))
      throw new StorageError('CORRUPT', `Damaged at byte ${this.end}, and a later frame proves that it was whole`);
    await this.cut();
  }

  /** Resolves with the place of the payload in the file, once it is on the disk. Steps take effect in the order of the calls. */
  write(step: Step, ...payload: readonly Uint8Array[]): Promise<number> {
    if (this.#closed) return Promise.reject(new StorageError('CLOSED', 'The engine is closed'));
    return new Promise((done, failed) => {
      this.#queue.push({ step, payload, done, failed });
      this.#writing ??= this.#writeAll();
    });
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.file.read(into, 0, into.length, position);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.end > 0) await this.write({ does: 'mark' }).catch(() => {});
    this.#closed = true;
    this.#idle?.cancel();
    await this.#writing;
    await this.beforeClose();
    await this.file.close();
  }

  /** Of a start that has failed: nothing is written any more. */
  stop(): void {
    this.#closed = true;
    this.#idle?.cancel();
  }

  protected async beforeClose(): Promise<void> {}

  protected put(bytes: Buffer, at: number): Promise<void> {
    return this.file.write(bytes, at);
  }

  protected sync(): Promise<void> {
    return this.file.datasync();
  }

  syncFound(): Promise<void> {
    return this.file.datasync();
  }

  /** Whether any frame behind the damage was written when the damaged bytes were on the disk already. */
  protected isProven(bytes: Buffer): boolean {
    for (let at = bytes.indexOf(MAGIC, this.end + 1); at !== -1; at = bytes.indexOf(MAGIC, at + 1))
      if ((this.frameAt(bytes, at)?.proven ?? 0) > this.end) return true;
    return false;
  }

  protected frameAt(bytes: Buffer, at: number): FoundFrame | undefined {
    const found = frameAt(bytes, at);
    return found?.crc === found?.stored ? found : undefined;
  }

  protected async cut(): Promise<void> {
    await this.file.truncate(this.end);
    await this.file.datasync();
    this.ragged = false;
  }

  async #writeAll(): Promise<void> {
    await null; // whatever is called in this turn goes together
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, GROUP_STEPS);
      try {
        await this.#writeGroup(group);
      } catch (error) {
        const failure = await this.#failure(error);
        for (const { failed } of [...group, ...this.#queue.splice(0)]) failed(failure);
      }
    }
    this.#writing = undefined;
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    this.#idle?.cancel();
    if (this.ragged) await this.cut();
    let at = this.end;
    const parts: Uint8Array[] = [];
    const positions = group.map(({ step, payload }) => {
      const head = frameHead(step, payload, at, this.end);
      parts.push(head, ...payload);
      const position = at + head.length;
      at = payload.reduce((sum, { length }) => sum + length, position);
      return position;
    });
    this.ragged = true;
    await this.put(Buffer.concat(parts), this.end);
    await this.sync();
    this.ragged = false;
    this.end = at;
    for (const [i, { done }] of group.entries()) done(positions[i] ?? 0);
    if (group.some(({ step }) => step.does !== 'mark'))
      this.#idle = this.#ctx.clock.timer(IDLE_MS, () => void this.write({ does: 'mark' }).catch(() => {}));
  }

  /** A full disk is certainly not written to, once the part that was is off again; of anything else nobody knows. */
  async #failure(error: unknown): Promise<StorageError> {
    const full =
      isDiskFull(error) &&
      (await this.cut().then(
        () => true,
        () => false,
      ));
    return full
      ? new StorageError('DISK_FULL', 'No room for it', { cause: error })
      : new StorageError('IO_ERROR', 'The file was not written', { cause: error });
  }
}

const MAGIC = Buffer.from('1FIL');
const HEAD_BYTES = 32;

function frameHead(step: Step, payload: readonly Uint8Array[], position: number, proven: number): Buffer {
  const json = Buffer.from(JSON.stringify(step));
  const head = Buffer.concat([Buffer.alloc(HEAD_BYTES), json]);
  MAGIC.copy(head);
  head.writeDoubleBE(proven, 4);
  head.writeDoubleBE(position, 12);
  head.writeUInt32BE(json.length, 20);
  head.writeUInt32BE(
    payload.reduce((sum, { length }) => sum + length, 0),
    24,
  );
  const crc = payload.reduce((sum, bytes) => crc32(bytes, sum), crc32(json, crc32(head.subarray(0, 28))));
  head.writeUInt32BE(crc, 28);
  return head;
}

function frameAt(bytes: Buffer, at: number): FoundFrame | undefined {
  if (at + HEAD_BYTES > bytes.length || !bytes.subarray(at, at + 4).equals(MAGIC)) return undefined;
  const position = at + HEAD_BYTES + bytes.readUInt32BE(at + 20);
  const end = position + bytes.readUInt32BE(at + 24);
  if (end > bytes.length || bytes.readDoubleBE(at + 12) !== at) return undefined;
  const crc = crc32(bytes.subarray(at + HEAD_BYTES, end), crc32(bytes.subarray(at, at + 28)));
  return {
    get step() {
      return JSON.parse(bytes.toString('utf8', at + HEAD_BYTES, position)) as Step; // as it was written, says the CRC
    },
    payload: bytes.subarray(position, end),
    position,
    end,
    proven: bytes.readDoubleBE(at + 4),
    crc,
    stored: bytes.readUInt32BE(at + 28),
  };
}
