import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@robustmq/core';

const ENGINES = ['local', 'second'];

/** Moves topics to and fro between engine instances through Admin HTTP, as `topic alter --engine` does, while everything else goes on. */
export class Alterations {
  done = 0;
  /** The server was away, or not ready yet. */
  refused = 0;
  readonly #admin: number;
  readonly #random: Random;
  readonly #topics: readonly string[];
  #running: Promise<void> = Promise.resolve();
  #stopping = false;

  constructor(admin: number, random: Random, topics: readonly string[]) {
    this.#admin = admin;
    this.#random = random;
    this.#topics = topics;
  }

  start(signal: AbortSignal): void {
    this.#running = this.#run(signal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let turn = 1; !this.#stopping && !signal.aborted; turn++) {
      await sleep(this.#random.next() * 300);
      for (const topic of this.#topics) await this.#alter(topic, ENGINES[turn % ENGINES.length] ?? 'local');
    }
  }

  async #alter(topic: string, engine: string): Promise<void> {
    try {
      const reply = await fetch(`http://127.0.0.1:${this.#admin}/api/v1/topics/${topic}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ settings: { engine } }),
        signal: AbortSignal.timeout(10_000),
      });
      await reply.arrayBuffer();
      if (reply.ok) this.done++;
      else this.refused++;
    } catch {
      this.refused++;
    }
  }
}
