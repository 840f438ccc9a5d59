import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import mqtt, { type MqttClient } from 'mqtt';
import { benchValue, VALUE_BYTES } from './archive-values.ts';

const VALUES_PER_SEND = 16;
const RETRY = { retries: 1000, initialRetryTime: 50, maxRetryTime: 200 };

/** One idempotent kafkajs producer for each partition; the value at an offset says the same number. */
export class KafkaLoad {
  readonly topic: string;
  /** Acknowledged values of each partition. */
  readonly acknowledged: number[];
  /** Sends whose answer named another offset than the one that follows. */
  renumbered = 0;
  readonly #kafka: Kafka;
  readonly #producers: Producer[] = [];

  constructor(port: number, topic: string, partitions: number) {
    this.topic = topic;
    this.acknowledged = Array.from({ length: partitions }, () => 0);
    this.#kafka = kafkaClient(port);
  }

  async open(): Promise<void> {
    const admin = this.#kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: this.topic, numPartitions: this.acknowledged.length }] });
    await admin.disconnect();
    for (const _ of this.acknowledged) {
      const producer = this.#kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry: RETRY });
      await producer.connect();
      this.#producers.push(producer);
    }
  }

  get bytes(): number {
    return this.acknowledged.reduce((sum, values) => sum + values, 0) * VALUE_BYTES;
  }

  /** Until `isDone` says so, at most at `bytesPerSecond`. @returns the time of each send, ms */
  async produce(
    isDone: () => boolean,
    { bytesPerSecond, values = VALUES_PER_SEND }: { readonly bytesPerSecond: number; readonly values?: number },
  ): Promise<number[]> {
    const partitions = this.#producers.length;
    const spacingMs = (1000 * values * VALUE_BYTES * partitions) / bytesPerSecond;
    const times: number[] = [];
    await Promise.all(
      this.#producers.map(async (producer, partition) => {
        let dueAt = performance.now() + (spacingMs * partition) / partitions;
        while (!isDone()) {
          if (dueAt > performance.now()) await sleep(dueAt - performance.now());
          // what could not be sent in time is not made up for: a stall would be followed by a burst
          dueAt = Math.max(dueAt + spacingMs, performance.now());
          const sentAt = performance.now();
          await this.#send(producer, partition, values);
          times.push(performance.now() - sentAt);
        }
      }),
    );
    return times;
  }

  async close(): Promise<void> {
    await Promise.all(this.#producers.map((producer) => producer.disconnect()));
  }

  async #send(producer: Producer, partition: number, values: number): Promise<void> {
    const first = this.acknowledged[partition] ?? 0;
    const messages = Array.from({ length: values }, (_, i) => ({ partition, value: benchValue(first + i) }));
    const [answer] = await producer.send({ topic: this.topic, acks: -1, messages });
    // a repeated send that the node had already written may be answered without its offset
    const base = Number(answer?.baseOffset ?? -1);
    if (base >= 0 && base !== first) this.renumbered++;
    this.acknowledged[partition] = first + values;
  }
}

/** A QoS 1 message now and then. It may be there twice after a crash, as QoS 1 has it, and must be there. */
export class MqttTrickle {
  readonly acknowledged = new Set<string>();
  readonly #client: MqttClient;
  #isDone = false;
  readonly #running: Promise<void>;

  /** `name` is what its values begin with. */
  constructor(port: number, name = 't') {
    this.#client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { clientId: `trickle-${name}`, reconnectPeriod: 50 });
    this.#client.on('error', () => {}); // it connects again by itself
    this.#running = this.#run(name);
  }

  async stop(): Promise<void> {
    this.#isDone = true;
    await this.#running;
    await this.#client.endAsync(true);
  }

  async #run(name: string): Promise<void> {
    for (let i = 0; !this.#isDone; i++) {
      await this.#client.publishAsync('trickle', `${name}${i}`, { qos: 1 });
      this.acknowledged.add(`${name}${i}`);
      await sleep(50);
    }
  }
}

export function kafkaClient(port: number): Kafka {
  return new Kafka({ brokers: [`127.0.0.1:${port}`], retry: RETRY, logLevel: logLevel.NOTHING });
}
