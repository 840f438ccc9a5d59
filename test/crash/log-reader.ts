import { checkBatch, decodeRecords, forEachBatch, type Random } from '@robustmq/core';
import type { History } from './history.ts';
import { KafkaWire } from './kafka-wire.ts';

/** About so large is a record of the load: what is not wanted need not be read. */
const BYTES_A_RECORD = 400;
const LOOK_BACK = 200;

/** Reads shards by Kafka fetches and tells the history what is there. */
export class LogReader {
  readonly #history: History;
  /** Where to go on, by shard. */
  readonly #positions = new Map<string, number>();

  constructor(history: History) {
    this.#history = history;
  }

  /** What has come since the last time, up to the end as it is now. */
  async catchUp(port: number, topic: string, partitions: number): Promise<void> {
    await this.#each(port, topic, partitions, async (wire, partition, { start, end }) => {
      const shard = `${topic}/${partition}`;
      // a start that moved is for the history to notice: what lies below it is lost
      const from = Math.max(start, this.#positions.get(shard) ?? 0);
      if (end < from) throw new Error(`the end of ${shard} went back from ${from} to ${end}`);
      this.#positions.set(shard, await this.#read(wire, topic, partition, from, end));
    });
  }

  /** Everything again from the start; what was ever read must still be there. */
  async readAgain(port: number, topic: string, partitions: number): Promise<void> {
    await this.#each(port, topic, partitions, async (wire, partition, { start, end }) => {
      const shard = `${topic}/${partition}`;
      this.#history.readingAgain(shard);
      await this.#read(wire, topic, partition, start, end);
      this.#history.expectAllAgain(shard);
    });
  }

  /** A stretch of what was read before, wherever chance says. */
  async lookBack(port: number, topic: string, partitions: number, random: Random): Promise<void> {
    await this.#each(port, topic, partitions, async (wire, partition, { start, end }) => {
      const from = start + Math.floor(random.next() * Math.max(0, end - start - LOOK_BACK));
      await this.#read(wire, topic, partition, from, Math.min(end, from + LOOK_BACK));
    });
  }

  async #each(
    port: number,
    topic: string,
    partitions: number,
    visit: (wire: KafkaWire, partition: number, offsets: { start: number; end: number }) => Promise<void>,
  ): Promise<void> {
    const wire = await KafkaWire.open(port);
    try {
      for (let partition = 0; partition < partitions; partition++) {
        const start = await wire.listOffset(topic, partition, -2);
        const end = await wire.listOffset(topic, partition, -1);
        const error = start.error === 0 ? end.error : start.error;
        if (error !== 0) throw new Error(`the offsets of ${topic}/${partition}: error ${error}`);
        await visit(wire, partition, { start: start.offset, end: end.offset });
      }
    } finally {
      wire.close();
    }
  }

  /** @returns where it stopped: at `end`, or behind it when a batch reaches further. */
  async #read(wire: KafkaWire, topic: string, partition: number, from: number, end: number): Promise<number> {
    const shard = `${topic}/${partition}`;
    let next = from;
    while (next < end) {
      const { error, records } = await wire.fetch(
        topic,
        partition,
        next,
        Math.min(4 << 20, (end - next) * BYTES_A_RECORD),
      );
      if (error !== 0) throw new Error(`fetch of ${shard} at ${next}: error ${error}`);
      const asked = next;
      forEachBatch(
        records,
        (_header, at) => {
          for (const { offset, value } of decodeRecords(records, {}, at)) {
            if (offset < asked) continue;
            this.#history.read(shard, offset, value);
            next = offset + 1;
          }
        },
        checkBatch,
      );
      if (next > asked) continue;
      // what went with its process leaves a hole that nothing may lie behind yet
      const gone = this.#history.goneUntil(shard, next);
      if (gone === undefined) throw new Error(`fetch of ${shard} at ${next} gives nothing, and the end is ${end}`);
      next = Math.min(gone, end);
    }
    return next;
  }
}
