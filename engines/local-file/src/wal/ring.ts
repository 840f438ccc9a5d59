import { CONTROL, CONTROL_INTS } from './channel.ts';

/** While the main thread fills the ring, the worker may as well begin to write. */
const EARLY_BYTES = 24 * 1024;

/** How far the worker has come. */
export interface Progress {
  turn: number;
  /** Bytes of what was written into the ring that are not on the disk. */
  behind: number;
  sequence: number;
  offset: number;
}

/** The main thread's end of the ring: bytes go in here and leave when the worker has put them on the disk. */
export class Ring {
  readonly memory: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly #bytes: Uint8Array;
  readonly #ints: Int32Array;
  #at = 0;
  #free: number;
  #written = 0;
  #published = 0;

  constructor(bytes: number) {
    this.memory = new SharedArrayBuffer(bytes);
    this.control = new SharedArrayBuffer(4 * CONTROL_INTS);
    this.#bytes = new Uint8Array(this.memory);
    this.#ints = new Int32Array(this.control);
    this.#free = bytes;
  }

  get free(): number {
    return this.#free;
  }

  /** The caller has made sure that it fits. */
  write(from: Uint8Array): void {
    const room = this.#bytes.length - this.#at;
    if (from.length <= room) this.#bytes.set(from, this.#at);
    else {
      this.#bytes.set(from.subarray(0, room), this.#at);
      this.#bytes.set(from.subarray(room), 0);
    }
    this.skip(from.length);
  }

  skip(bytes: number): void {
    this.#at += bytes;
    if (this.#at >= this.#bytes.length) this.#at -= this.#bytes.length;
    this.#free -= bytes;
    this.#written += bytes;
  }

  /** True when the worker has nothing to do, and there is enough here to be worth its while. */
  get isWaitedFor(): boolean {
    return this.#written - this.#published >= EARLY_BYTES && Atomics.load(this.#ints, CONTROL.sleeping) === 1;
  }

  /** Lets the worker see all that was written. */
  publish(): void {
    if (this.#published === this.#written) return;
    this.#published = this.#written;
    Atomics.store(this.#ints, CONTROL.published, this.#written | 0);
    this.wake();
  }

  wake(): void {
    Atomics.add(this.#ints, CONTROL.wake, 1);
    if (Atomics.load(this.#ints, CONTROL.sleeping) === 1) Atomics.notify(this.#ints, CONTROL.wake);
  }

  mailSent(): void {
    Atomics.add(this.#ints, CONTROL.mail, 1);
    this.wake();
  }

  /** All but the last `left` bytes are out. */
  consumed(left: number): void {
    this.#free = this.#bytes.length - left;
  }

  /**
   * What is on the disk, in `into`, where it is new.
   * @returns false when nothing is new, or when the worker is just about to change it: it will say so
   */
  look(into: Progress): boolean {
    const ints = this.#ints;
    const turn = Atomics.load(ints, CONTROL.turn);
    if (turn === into.turn || (turn & 1) === 1) return false;
    const behind = (this.#written - Atomics.load(ints, CONTROL.durable)) | 0;
    const sequence = Atomics.load(ints, CONTROL.sequence);
    const offset = Atomics.load(ints, CONTROL.offset);
    if (Atomics.load(ints, CONTROL.turn) !== turn) return false;
    into.turn = turn;
    into.behind = behind;
    into.sequence = sequence;
    into.offset = offset;
    return true;
  }

  /** From here on the worker tells when there is more. Whoever calls this looks once more. */
  listenAgain(): void {
    Atomics.store(this.#ints, CONTROL.told, 0);
  }

  mark(): { readonly published: number; readonly ringOffset: number } {
    return { published: this.#written | 0, ringOffset: this.#at };
  }
}
