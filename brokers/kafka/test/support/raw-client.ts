import { connect, type Socket } from 'node:net';
import { CoreClient, type Message } from './core-client.ts';

/** Frames of requests without a broker behind them. */
const encoder = new CoreClient();

/** A socket that speaks frames, and reads only when told to. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #received: Buffer[] = [];
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.#received.push(chunk);
      this.#wake?.();
    });
    void this.closed.then(() => this.#wake?.());
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  send(apiKey: number, version: number, message: Message): void {
    this.socket.write(encoder.frame(apiKey, version, message));
  }

  /** The next whole frame, size included. */
  async frame(): Promise<Buffer> {
    for (;;) {
      const bytes = Buffer.concat(this.#received);
      const length = bytes.length < 4 ? Number.POSITIVE_INFINITY : 4 + bytes.readInt32BE();
      if (bytes.length >= length) {
        this.#received = [bytes.subarray(length)];
        return bytes.subarray(0, length);
      }
      if (this.socket.destroyed) throw new Error('the connection is closed');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
