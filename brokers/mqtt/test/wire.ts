import { connect, type Socket } from 'node:net';

/** One raw connection: bytes out, whole packets in. */
export class Wire {
  readonly socket: Socket;
  readonly #packets: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => {};

  constructor(port: number, allowHalfOpen = false) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen });
    this.socket.on('data', (chunk) => this.#take(chunk));
    this.socket.on('error', () => {});
    for (const event of ['end', 'close'])
      this.socket.on(event, () => {
        this.#closed = true;
        this.#wake();
      });
  }

  send(bytes: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** The next packet, `closed` when there will be none, `silence` when none comes in time. */
  async next(timeoutMs = 3000): Promise<Buffer | 'closed' | 'silence'> {
    const until = Date.now() + timeoutMs;
    while (Date.now() < until) {
      const packet = this.#packets.shift();
      if (packet !== undefined) return packet;
      if (this.#closed) return 'closed';
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, until - Date.now());
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return 'silence';
  }

  /** Resolves with true when the peer has closed, whatever it says before. */
  async closes(timeoutMs = 3000): Promise<boolean> {
    for (;;) {
      const got = await this.next(timeoutMs);
      if (got === 'closed') return true;
      if (got === 'silence') return false;
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let size = sizeOf(this.#rest); size !== undefined; size = sizeOf(this.#rest)) {
      this.#packets.push(this.#rest.subarray(0, size));
      this.#rest = this.#rest.subarray(size);
    }
    this.#wake();
  }
}

/** Of the first whole packet, if it is there. */
function sizeOf(bytes: Buffer): number | undefined {
  let length = 0;
  for (let at = 1; at < Math.min(5, bytes.length); at++) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) * 128 ** (at - 1);
    if (byte < 0x80) return bytes.length >= at + 1 + length ? at + 1 + length : undefined;
  }
  return undefined;
}

/** A CONNECT with clean start and a keep alive of a minute. */
export function connectBytes(version: number, clientId: string, properties: Uint8Array = Buffer.of(0)): Buffer {
  const name = version === 3 ? 'MQIsdp' : 'MQTT';
  const id = Buffer.from(clientId);
  const body = Buffer.concat([
    Buffer.of(0, name.length),
    Buffer.from(name),
    Buffer.of(version, 2, 0, 60),
    version === 5 ? properties : Buffer.alloc(0),
    Buffer.of(id.length >> 8, id.length),
    id,
  ]);
  return Buffer.concat([Buffer.of(0x10, body.length), body]);
}

export function publishBytes(version: number, topic: string, payload: string, qos: 0 | 1, packetId = 1): Buffer {
  const body = Buffer.concat([
    Buffer.of(topic.length >> 8, topic.length),
    Buffer.from(topic),
    qos > 0 ? Buffer.of(packetId >> 8, packetId) : Buffer.alloc(0),
    version === 5 ? Buffer.of(0) : Buffer.alloc(0),
    Buffer.from(payload),
  ]);
  const length: number[] = [];
  for (let rest = body.length; ; rest >>= 7) {
    length.push(rest > 127 ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.of(0x30 | (qos << 1), ...length), body]);
}

export function subscribeBytes(version: number, filter: string, options: number, packetId = 1): Buffer {
  const body = Buffer.concat([
    Buffer.of(packetId >> 8, packetId),
    version === 5 ? Buffer.of(0) : Buffer.alloc(0),
    Buffer.of(filter.length >> 8, filter.length),
    Buffer.from(filter),
    Buffer.of(options),
  ]);
  return Buffer.concat([Buffer.of(0x82, body.length), body]);
}
