import {
  type BrokerContext,
  type Clock,
  type Logger,
  MemoryShare,
  type StorageAdapter,
  silentLogger,
  unreadMetrics,
} from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { FakeStorage } from '../../../common/test/fake-storage.ts';
import { apis } from '../../src/api/registry.ts';
import { Connection, type ConnectionPort, type ConnectionServices } from '../../src/connection.ts';
import { createMetrics } from '../../src/metrics.ts';
import { OutputAccount } from '../../src/output-account.ts';
import { codecOf } from '../../src/schema/compile.ts';
import type { Encodable, MessageTable } from '../../src/schema/table.ts';
import { DEFAULT_SETTINGS, type KafkaSettings } from '../../src/settings.ts';
import { Reader } from '../../src/wire/reader.ts';
import { Writer } from '../../src/wire/writer.ts';

/** Whatever a decoder gave; tests look into it with `toMatchObject`. */
export type Message = Record<string, unknown>;

export interface Surroundings {
  readonly settings?: Partial<KafkaSettings>;
  readonly authorize?: BrokerContext['authorizer']['authorize'];
  readonly memory?: MemoryShare;
}

/** The connection core without a socket: requests in, decoded answers out, and everything it asked of its port. */
export class CoreClient<S extends StorageAdapter = FakeStorage> implements ConnectionPort {
  readonly storage: S;
  readonly clock: Clock;
  readonly services: ConnectionServices;
  readonly connection: Connection;
  readonly log: string[] = [];
  reading = true;
  closed: 'flushed' | 'cut' | undefined;
  /** Frames that came out and were not taken by `answer` yet. */
  readonly frames: Buffer[] = [];
  /** Parts of each write as they were given. */
  readonly writes: (readonly Uint8Array[])[] = [];
  heldBytes = 0;
  #correlationId = 0;
  #arrived: (() => void) | undefined;

  constructor(surroundings: Surroundings = {}, shared: { storage?: S; clock?: Clock } = {}) {
    // without one given, S is what it is by default
    this.storage = shared.storage ?? (new FakeStorage() as unknown as S);
    this.clock = shared.clock ?? new VirtualClock();
    const output = new OutputAccount(surroundings.settings?.maxResponseBytes ?? DEFAULT_SETTINGS.maxResponseBytes);
    this.services = {
      apis,
      storage: this.storage,
      authorizer: { authorize: surroundings.authorize ?? (() => true) },
      node: { id: 1, clusterId: 'core-test' },
      memory: surroundings.memory ?? new MemoryShare('in flight', 64 * 1024 * 1024),
      output,
      settings: { ...DEFAULT_SETTINGS, ...surroundings.settings },
      clock: this.clock,
      logger: silentLogger,
      metrics: createMetrics(unreadMetrics, { connections: () => 1, outputBytes: () => output.held }),
    };
    this.connection = new Connection(this.services, this, {
      principal: { name: 'anonymous', tenant: 'default' },
      endpoint: { host: 'broker.test', port: 9092 },
      logger: this.#logger(),
    });
  }

  /** Sends a request and waits for its answer. */
  async call(apiKey: number, version: number, message: Message): Promise<Message> {
    this.send(apiKey, version, message);
    return this.answer(apiKey, version);
  }

  send(apiKey: number, version: number, message: Message): void {
    this.connection.receive(this.frame(apiKey, version, message));
  }

  frame(apiKey: number, version: number, message: Message): Buffer {
    const entry = apis.get(apiKey);
    if (entry === undefined) throw new Error(`no API ${apiKey}`);
    const codec = codecOf(entry.api.request, version);
    const writer = new Writer();
    writer.int16(apiKey);
    writer.int16(version);
    writer.int32(++this.#correlationId);
    writer.string('core-test', false);
    if (codec.flexible) writer.uvarint(0);
    codec.encode(writer, message as Encodable<MessageTable>);
    return framed(Buffer.concat(writer.finish()));
  }

  /** The next answer, once it is there. */
  async answer(apiKey: number, version: number): Promise<Message> {
    while (this.frames.length === 0) {
      if (this.closed !== undefined) throw new Error(`closed: ${this.log.join('; ')}`);
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    const frame = this.frames.shift() ?? Buffer.alloc(0);
    const table = apis.get(apiKey)?.api.response as MessageTable;
    const codec = codecOf(table, version);
    const reader = new Reader(frame, 8);
    if (codec.flexible && apiKey !== 18) reader.uvarint();
    const message = codec.decode(reader) as Message;
    if (reader.remaining > 0) throw new Error(`${reader.remaining} bytes behind the answer`);
    return message;
  }

  correlationIds(): number[] {
    return this.frames.map((frame) => frame.readInt32BE(4));
  }

  write(parts: readonly Uint8Array[], heldBytes: number): void {
    this.writes.push(parts);
    this.heldBytes += heldBytes;
    const bytes = Buffer.concat(parts);
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + bytes.readInt32BE(at);
      this.frames.push(bytes.subarray(at, end));
      at = end;
    }
    this.#arrived?.();
  }

  setReading(reading: boolean): void {
    this.reading = reading;
  }

  close(flush: boolean): void {
    this.closed = flush ? 'flushed' : 'cut';
    this.#arrived?.();
  }

  #logger(): Logger {
    const keep = (_: object, message: string): void => {
      this.log.push(message);
    };
    return { debug: () => {}, info: keep, warn: keep, error: keep, child: () => this.#logger() };
  }
}

export function framed(body: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

/** Lets promises settle. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
