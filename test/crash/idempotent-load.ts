import { setTimeout as sleep } from 'node:timers/promises';
import { encodeBatch, type Random } from '@robustmq/core';
import type { History } from './history.ts';
import { KafkaWire } from './kafka-wire.ts';
import type { Load } from './load.ts';
import { encodePayload } from './payload.ts';

const IN_FLIGHT = 5;
const OK = 0;
/** Older than what the server remembers of this producer: it has it. */
const DUPLICATE_SEQUENCE = 46;

export interface IdempotentTarget {
  readonly topic: string;
  readonly partition: number;
  readonly port: () => number;
  readonly random: Random;
  /** Records of a batch, at most. */
  readonly records?: number;
  /** Waited after each acknowledgement, on average; without it now and then, and shortly. */
  readonly pauseMs?: () => number;
}

const MAX_RECORDS = 4;

interface Batch {
  readonly first: number;
  readonly count: number;
  reply: Promise<{ error: number; offset: number }>;
}

/**
 * An idempotent producer of one partition that never gives up: up to five batches in flight; after a lost connection or an error all
 * that is not acknowledged is sent again, in order, with the same sequence numbers. So each record must be there exactly once in the end.
 */
export class IdempotentLoad implements Load {
  readonly name: string;
  readonly errors = new Map<number, number>();
  /** Batches sent more than once. */
  resent = 0;
  readonly #history: History;
  readonly #to: IdempotentTarget;
  readonly #inFlight: Batch[] = [];
  #wire: KafkaWire | undefined;
  #producer: { id: number; epoch: number } | undefined;
  #sent = 0;
  #stopping = false;

  constructor(history: History, name: string, to: IdempotentTarget) {
    this.name = name;
    this.#history = history;
    this.#to = to;
    history.writer(name, 'once');
  }

  stop(): void {
    this.#stopping = true;
  }

  /** It hears no answer any more on the connection that it has: before a kill, so that batches which are stored are sent again for sure. */
  goDeaf(): void {
    this.#wire?.goDeaf();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(this.#stopping && this.#inFlight.length === 0)) {
      const wire = await KafkaWire.open(this.#to.port()).catch(() => undefined);
      this.#wire = wire;
      if (wire !== undefined) {
        await this.#session(wire, signal).catch(() => undefined); // the connection is gone, or it was told to send again
        wire.close();
      }
      await sleep(20);
    }
  }

  async #session(wire: KafkaWire, signal: AbortSignal): Promise<void> {
    const producer = this.#producer ?? (await this.#introduce(wire));
    for (const batch of this.#inFlight) this.#send(wire, producer, batch);
    this.resent += this.#inFlight.length;
    while (!signal.aborted) {
      while (!this.#stopping && this.#inFlight.length < IN_FLIGHT) this.#send(wire, producer, this.#next());
      const head = this.#inFlight[0];
      if (head === undefined) return;
      const { error, offset } = await head.reply;
      if (error !== OK && error !== DUPLICATE_SEQUENCE) {
        this.errors.set(error, (this.errors.get(error) ?? 0) + 1);
        throw new Error(`error ${error}`);
      }
      this.#inFlight.shift();
      for (let i = 0; i < head.count; i++)
        this.#history.acknowledged(this.name, head.first + i, error === OK ? offset + i : undefined);
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    const { random, pauseMs } = this.#to;
    if (pauseMs !== undefined) await sleep(pauseMs() * 2 * random.next());
    else if (random.next() < 0.2) await sleep(random.next() * 8);
  }

  async #introduce(wire: KafkaWire): Promise<{ id: number; epoch: number }> {
    const { error, id, epoch } = await wire.initProducerId();
    if (error !== OK) throw new Error(`error ${error}`);
    this.#producer = { id, epoch };
    return this.#producer;
  }

  #next(): Batch {
    const { topic, partition, random, records = MAX_RECORDS } = this.#to;
    const count = 1 + Math.floor(random.next() * records);
    const batch: Batch = { first: this.#sent, count, reply: Promise.reject(new Error('not sent')) };
    batch.reply.catch(() => {});
    for (let i = 0; i < count; i++) this.#history.sent(this.name, this.#sent++, `${topic}/${partition}`);
    this.#inFlight.push(batch);
    return batch;
  }

  #send(wire: KafkaWire, producer: { id: number; epoch: number }, batch: Batch): void {
    const records = Array.from({ length: batch.count }, (_, i) => ({
      timestamp: Date.now(),
      key: Buffer.from(this.name),
      value: encodePayload(this.name, batch.first + i),
    }));
    const bytes = encodeBatch(records, { producer: { ...producer, sequence: batch.first } });
    batch.reply = wire.produce(this.#to.topic, this.#to.partition, bytes);
    batch.reply.catch(() => {}); // looked at when its turn comes
  }
}
