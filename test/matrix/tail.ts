import { setTimeout as sleep } from 'node:timers/promises';
import type { LogReader } from '../crash/log-reader.ts';
import type { Node } from './node.ts';

const PAUSE_MS = 100;

/** A Kafka reader that keeps up with a topic of one shard, while the node is there. */
export class Tail {
  readonly #node: Node;
  readonly #reader: LogReader;
  readonly #topic: string;
  #stopping = false;
  #running: Promise<void> = Promise.resolve();

  constructor(node: Node, reader: LogReader, topic: string) {
    this.#node = node;
    this.#reader = reader;
    this.#topic = topic;
  }

  /** @returns when it has stopped; @throws what no killed node explains */
  run(): Promise<void> {
    this.#running = this.#run();
    return this.#running;
  }

  /** It has read everything up to the end as it is now. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await this.#reader.catchUp(this.#node.ports.kafka, this.#topic, 1);
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const { life } = this.#node;
      try {
        if (this.#node.isUp) await this.#reader.catchUp(this.#node.ports.kafka, this.#topic, 1);
      } catch (error) {
        if (this.#node.isUp && this.#node.life === life) throw error;
      }
      await sleep(PAUSE_MS);
    }
  }
}
