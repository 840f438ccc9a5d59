import type { Writable } from 'node:stream';

/** Up to here a copy into one buffer is cheaper than a vector of small ones. */
const JOIN_BYTES = 65_536;

/**
 * Collects what is written to one socket during a turn of the event loop, and hands it over in one go at the turn's end: one system call a
 * socket and turn, whatever the number of packets.
 */
export class CorkedWriter {
  readonly #socket: Writable;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  /** Bytes that neither the kernel nor the peer has yet. */
  get backlog(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  write(chunk: Uint8Array): void {
    if (this.#chunks.push(chunk) === 1) dirty(this);
    this.#bytes += chunk.length;
  }

  flush(): void {
    const chunks = this.#chunks;
    const bytes = this.#bytes;
    this.#chunks = [];
    this.#bytes = 0;
    if (chunks.length === 0 || this.#socket.destroyed || this.#socket.writableEnded) return;
    if (chunks.length === 1 && chunks[0] !== undefined) this.#socket.write(chunks[0]);
    else if (bytes <= JOIN_BYTES) this.#socket.write(Buffer.concat(chunks, bytes));
    else {
      this.#socket.cork();
      for (const chunk of chunks) this.#socket.write(chunk);
      this.#socket.uncork();
    }
  }
}

let waiting: CorkedWriter[] = [];

function dirty(writer: CorkedWriter): void {
  if (waiting.push(writer) > 1) return;
  setImmediate(() => {
    const writers = waiting;
    waiting = [];
    for (const each of writers) each.flush();
  });
}
