import { randomBytes } from 'node:crypto';
import { encodeBatch } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { expect } from 'vitest';
import { KafkaWire } from '../crash/kafka-wire.ts';

const VALUE_BYTES = 128 * 1024;
const VALUES_PER_SEND = 4;
/** A fetch of few of them at once. */
const FETCH_BYTES = 1024 * 1024;

/** Records that are large, so that much is written and compared in little time. Over Kafka's protocol, to the one partition of a topic. */
export class LargeRecords {
  readonly #topic: string;
  readonly #pool = randomBytes(VALUE_BYTES);
  #acknowledged = 0;

  constructor(topic: string) {
    this.#topic = topic;
  }

  async write(port: number, bytes: number): Promise<void> {
    const wire = await KafkaWire.open(port);
    try {
      expect(await wire.createTopic(this.#topic, 1)).toBe(0);
      while (this.#acknowledged * VALUE_BYTES < bytes) {
        const values = Array.from({ length: VALUES_PER_SEND }, (_, i) => this.#value(this.#acknowledged + i));
        const batch = encodeBatch(values.map((value) => ({ timestamp: Date.now(), key: null, value })));
        expect(await wire.produce(this.#topic, 0, batch)).toEqual({ error: 0, offset: this.#acknowledged });
        this.#acknowledged += VALUES_PER_SEND;
      }
    } finally {
      wire.close();
    }
  }

  /** Every one that was acknowledged is there, at its offset, as it was sent, and nothing else is. */
  async check(port: number): Promise<void> {
    const wire = await KafkaWire.open(port);
    try {
      let next = 0;
      while (next < this.#acknowledged) {
        const { error, highWatermark, records } = await wire.fetch(this.#topic, 0, next, FETCH_BYTES);
        expect({ error, highWatermark }).toEqual({ error: 0, highWatermark: this.#acknowledged });
        forEachBatch(records, ({ bytes }, at) => {
          for (const { offset, value } of decodeRecords(records.subarray(at, at + bytes))) {
            expect(offset).toBe(next);
            // not by `toEqual`: it would print them
            expect(value !== null && this.#value(next).equals(value)).toBe(true);
            next++;
          }
        });
      }
    } finally {
      wire.close();
    }
  }

  /** No two are the same. */
  #value(number: number): Buffer {
    const value = Buffer.from(this.#pool);
    value.writeUInt32BE(number, 0);
    return value;
  }
}
