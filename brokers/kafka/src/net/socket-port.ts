import type { Socket } from 'node:net';
import type { Connection, ConnectionPort } from '../connection.ts';
import type { Services } from '../services.ts';
import type { Flushable, TurnWriter } from './turn-writer.ts';

/** A TCP socket as its connection sees it: one corked write a turn, and what the client leaves unread is bounded. */
export class SocketPort implements ConnectionPort, Flushable {
  readonly #socket: Socket;
  readonly #services: Services;
  readonly #writer: TurnWriter;
  #connection: Connection | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #queuedHeld = 0;
  /** Held bytes that are with the socket. */
  #sentHeld = 0;
  #full = false;
  #ending = false;

  constructor(socket: Socket, services: Services, writer: TurnWriter) {
    this.#socket = socket;
    this.#services = services;
    this.#writer = writer;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
    this.#socket
      .on('data', (chunk: Buffer) => connection.receive(chunk))
      .on('drain', () => this.#drained())
      .on('error', () => connection.close('client'))
      .on('end', () => connection.close('client'))
      .on('close', () => {
        connection.close('client');
        this.#giveBack();
      });
  }

  write(parts: readonly Uint8Array[], heldBytes: number): void {
    if (this.#queue.length === 0) this.#writer.add(this);
    for (const part of parts) {
      this.#queue.push(part);
      this.#queuedBytes += part.length;
    }
    this.#queuedHeld += heldBytes;
    // told at once: a turn is long enough for a hundred answers
    this.#checkFull();
  }

  setReading(reading: boolean): void {
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }

  close(flush: boolean): void {
    this.#ending = true;
    if (!flush) this.#socket.destroy();
    else if (this.#queue.length === 0) this.#end();
  }

  flush(): void {
    const parts = this.#queue;
    const held = this.#queuedHeld;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#queuedHeld = 0;
    this.#sentHeld += held;
    if (this.#socket.destroyed) {
      this.#giveBack();
      return;
    }
    this.#socket.cork();
    for (const part of parts.slice(0, -1)) {
      this.#services.metrics.bytesOut.value += part.length;
      this.#socket.write(part);
    }
    const last = parts.at(-1);
    if (last !== undefined) {
      this.#services.metrics.bytesOut.value += last.length;
      this.#socket.write(last, (error) => {
        if (error == null) this.#release(held);
      });
    }
    this.#socket.uncork();
    if (this.#ending) this.#end();
    else if (this.#full && !this.#socket.writableNeedDrain) this.#drained();
  }

  #checkFull(): void {
    const backlog = this.#queuedBytes + this.#socket.writableLength;
    if (this.#full || backlog <= this.#services.settings.maxOutputBytesPerConnection) return;
    this.#full = true;
    this.#connection?.outputFull(true);
  }

  #drained(): void {
    if (!this.#full || this.#queue.length > 0) return;
    this.#full = false;
    this.#connection?.outputFull(false);
  }

  /** Sends what is there; the connection's `expire` ends it for a client that does not read that. */
  #end(): void {
    this.#socket.destroySoon();
  }

  #release(held: number): void {
    const released = Math.min(held, this.#sentHeld);
    this.#sentHeld -= released;
    this.#services.output.release(released);
  }

  /** The socket is gone, and with it all that was on its way. */
  #giveBack(): void {
    this.#release(this.#sentHeld);
    this.#services.output.release(this.#queuedHeld);
    this.#queuedHeld = 0;
    this.#queuedBytes = 0;
    this.#queue = [];
  }
}
