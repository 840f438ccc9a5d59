import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Fields } from './kafka-fields.ts';

/**
 * A Kafka connection of few words, so that the crash rounds know exactly what was sent and what was answered: client libraries retry and
 * time out on their own. Old, non-flexible versions of five requests; one node.
 */
export class KafkaWire {
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve: (body: Fields) => void; reject: (error: Error) => void }>();
  /** Put together when a whole reply is there: a large one comes in hundreds of pieces. */
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Of the next reply, once it is known. */
  #wanted = LENGTH_BYTES;
  #nextId = 1;
  #isDeaf = false;

  static async open(port: number): Promise<KafkaWire> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new KafkaWire(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', () => {}); // 'close' follows
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error('connection lost'));
        this.#waiting.clear();
        resolve();
      });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What is answered from now on is not heard: to the server all is well. Ends with the connection. */
  goDeaf(): void {
    this.#isDeaf = true;
  }

  async createTopic(name: string, partitions: number): Promise<number> {
    const body = new Fields().int32(1).string(name).int32(partitions).int16(1).int32(0).int32(0).int32(30_000).int8(0);
    const reply = await this.#request(19, 2, body);
    reply.takeInt32(); // throttle
    return reply.takeArray(() => {
      reply.takeString();
      const error = reply.takeInt16();
      reply.takeString();
      return error;
    })[0] as number; // one topic asked for
  }

  async initProducerId(): Promise<{ error: number; id: number; epoch: number }> {
    const reply = await this.#request(22, 0, new Fields().string(null).int32(30_000));
    reply.takeInt32(); // throttle
    return { error: reply.takeInt16(), id: reply.takeInt64(), epoch: reply.takeInt16() };
  }

  async produce(topic: string, partition: number, batch: Uint8Array): Promise<{ error: number; offset: number }> {
    const body = new Fields().string(null).int16(-1).int32(30_000);
    body.int32(1).string(topic).int32(1).int32(partition).bytes(batch);
    const reply = await this.#request(0, 3, body);
    return takePartition(reply, () => {
      const answer = { error: reply.takeInt16(), offset: reply.takeInt64() };
      reply.takeInt64(); // log append time
      return answer;
    });
  }

  /** The first offset (-2) or the end (-1). */
  async listOffset(topic: string, partition: number, which: -1 | -2): Promise<{ error: number; offset: number }> {
    const body = new Fields().int32(-1).int32(1).string(topic).int32(1).int32(partition).int64(which);
    const reply = await this.#request(2, 1, body);
    return takePartition(reply, () => {
      const error = reply.takeInt16();
      reply.takeInt64(); // timestamp
      return { error, offset: reply.takeInt64() };
    });
  }

  async fetch(
    topic: string,
    partition: number,
    from: number,
    maxBytes: number,
  ): Promise<{ error: number; highWatermark: number; records: Uint8Array }> {
    const body = new Fields()
      .int32(-1)
      .int32(500)
      .int32(1)
      .int32(8 << 20)
      .int8(0);
    body.int32(1).string(topic).int32(1).int32(partition).int64(from).int32(maxBytes);
    const reply = await this.#request(1, 4, body);
    reply.takeInt32(); // throttle
    return takePartition(reply, () => {
      const error = reply.takeInt16();
      const highWatermark = reply.takeInt64();
      reply.takeInt64(); // last stable offset
      reply.takeArray(() => reply.takeInt64() + reply.takeInt64()); // aborted transactions
      return { error, highWatermark, records: reply.takeBytes() };
    });
  }

  #request(apiKey: number, version: number, body: Fields): Promise<Fields> {
    const id = this.#nextId++;
    const payload = Buffer.concat([
      new Fields().int16(apiKey).int16(version).int32(id).string('crash-rounds').whole(),
      body.whole(),
    ]);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('connection lost'));
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(new Fields().bytes(payload).whole());
    });
  }

  #take(bytes: Buffer): void {
    if (this.#isDeaf) return;
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    while (this.#bytes >= this.#wanted) {
      const received = Buffer.concat(this.#pieces);
      const end = LENGTH_BYTES + received.readInt32BE(0);
      const isWhole = received.length >= end;
      const rest = isWhole ? received.subarray(end) : received;
      this.#pieces = [rest];
      this.#bytes = rest.length;
      this.#wanted = isWhole ? LENGTH_BYTES : end;
      if (!isWhole) continue;
      const reply = new Fields(received.subarray(LENGTH_BYTES, end));
      const id = reply.takeInt32();
      this.#waiting.get(id)?.resolve(reply);
      this.#waiting.delete(id);
    }
  }
}

const LENGTH_BYTES = 4;

/** The one partition of the one topic asked for. */
function takePartition<T>(reply: Fields, take: () => T): T {
  const [partitions] = reply.takeArray(() => {
    reply.takeString();
    return reply.takeArray(() => {
      reply.takeInt32();
      return take();
    });
  });
  const [answer] = partitions ?? [];
  if (answer === undefined) throw new Error('a reply without the partition asked for');
  return answer;
}
