import { setTimeout as sleep } from 'node:timers/promises';
import { Producer as PlatformaticProducer } from '@platformatic/kafka';
import { Kafka, logLevel } from 'kafkajs';
import mqtt from 'mqtt';
import type { Guarantee, History } from './history.ts';
import type { Load } from './load.ts';
import { encodePayload } from './payload.ts';

/** Sends one value and gives its offset, if the protocol tells. Rejects when the library has given up: then it may be there or not. */
interface Client {
  send(value: Buffer): Promise<number | undefined>;
  close(): Promise<unknown>;
}

/** One value after the other through a client library; its own retries are part of what is tried. */
class LibraryLoad implements Load {
  readonly name: string;
  readonly errors = new Map<string, number>();
  readonly #history: History;
  readonly #shard: string | undefined;
  readonly #open: () => Promise<Client>;
  #stopping = false;

  constructor(
    history: History,
    name: string,
    guarantee: Guarantee,
    shard: string | undefined,
    open: () => Promise<Client>,
  ) {
    this.name = name;
    this.#history = history;
    this.#shard = shard;
    this.#open = open;
    history.writer(name, guarantee);
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    aborted.catch(() => {});
    let client: Client | undefined;
    for (let sequence = 0; !this.#stopping && !signal.aborted; ) {
      try {
        client ??= await this.#open();
        this.#history.sent(this.name, sequence, this.#shard);
        const offset = await Promise.race([client.send(encodePayload(this.name, sequence++)), aborted]);
        this.#history.acknowledged(this.name, sequence - 1, offset);
        await sleep(2);
      } catch (error) {
        if (signal.aborted) break;
        const name = error instanceof Error ? error.message : String(error);
        this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
        // a new producer: what the library does after it has given up is its own affair
        await client?.close().catch(() => undefined);
        client = undefined;
        await sleep(50);
      }
    }
    await Promise.race([client?.close(), sleep(2000)]).catch(() => undefined);
  }
}

interface KafkaTarget {
  readonly topic: string;
  readonly partition: number;
  readonly port: number;
}

export function kafkajsLoad(history: History, name: string, { topic, partition, port }: KafkaTarget): Load {
  return new LibraryLoad(history, name, 'once', `${topic}/${partition}`, async () => {
    const retry = { retries: 1000, initialRetryTime: 50, maxRetryTime: 200 };
    const kafka = new Kafka({ clientId: name, brokers: [`127.0.0.1:${port}`], retry, logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry });
    await producer.connect();
    return {
      send: async (value) => {
        const [first] = await producer.send({ topic, acks: -1, messages: [{ partition, value }] });
        return first?.baseOffset === undefined ? undefined : Number(first.baseOffset);
      },
      close: () => producer.disconnect(),
    };
  });
}

/** Without idempotence: its retries may repeat a record. */
export function platformaticLoad(history: History, name: string, { topic, partition, port }: KafkaTarget): Load {
  return new LibraryLoad(history, name, 'atLeastOnce', `${topic}/${partition}`, async () => {
    const producer = new PlatformaticProducer({
      clientId: name,
      bootstrapBrokers: [`127.0.0.1:${port}`],
      retries: 50,
      retryDelay: 50,
      connectTimeout: 2000,
      timeout: 5000,
    });
    return {
      send: async (value) => {
        await producer.send({ acks: -1, messages: [{ topic, partition, value }] });
        return undefined;
      },
      close: () => producer.close(),
    };
  });
}

export function mqttjsLoad(history: History, name: string, target: { topic: string; port: number }): Load {
  return new LibraryLoad(history, name, 'atLeastOnce', undefined, async () => {
    const client = await mqtt.connectAsync({
      host: '127.0.0.1',
      port: target.port,
      clientId: name,
      protocolVersion: 5,
      reconnectPeriod: 50,
    });
    client.on('error', () => {}); // it connects again by itself
    return {
      send: async (value) => {
        await client.publishAsync(target.topic, value, { qos: 1 });
        return undefined;
      },
      close: () => client.endAsync(true),
    };
  });
}
