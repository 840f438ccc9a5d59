import { setTimeout as sleep } from 'node:timers/promises';
import { encodeBatch, isStorageError, type Shard } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { expect } from 'vitest';

const IN_FLIGHT = 20;

export interface Load {
  readonly inFlight?: number;
  /** A value has at least so many. */
  readonly valueBytes?: number;
}

/** Appends numbers, some at once, and remembers which were acknowledged. */
export class Producer {
  readonly acknowledged = new Map<number, string>();
  readonly sent = new Set<string>();
  readonly #shard: Shard;
  readonly #name: string;
  readonly #valueBytes: number;
  #next = 0;
  #isDone = false;
  readonly #running: Promise<void>[];

  constructor(shard: Shard, name: string, { inFlight = IN_FLIGHT, valueBytes = 0 }: Load = {}) {
    this.#shard = shard;
    this.#name = name;
    this.#valueBytes = valueBytes;
    this.#running = Array.from({ length: inFlight }, () => this.#run());
  }

  async finish(): Promise<void> {
    this.#isDone = true;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    while (!this.#isDone) {
      const value = `${this.#name}-${this.#next++}`.padEnd(this.#valueBytes, '.');
      this.sent.add(value);
      try {
        await this.#shard.ready(1000);
        const { base } = await this.#shard.append([
          encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(value) }]),
        ]);
        expect(this.acknowledged.has(base)).toBe(false);
        this.acknowledged.set(base, value);
      } catch (error) {
        if (!isStorageError(error)) throw error;
        // none of these is ever sent again: what was not acknowledged may be there once
        await sleep(20);
      }
      await sleep(1);
    }
  }

  /**
   * Everything acknowledged is there, where it was said to be, and nothing is there twice or from nowhere.
   * @param shard of another life of the node
   */
  async check(shard = this.#shard): Promise<void> {
    const { logStart, committed } = await shard.offsets();
    const found = new Map<number, string>();
    for (let from = logStart; from < committed; ) {
      const { chunks, next } = await shard.read(from, { maxBytes: 1024 * 1024 });
      for (const chunk of chunks)
        forEachBatch(chunk, (header, at) => {
          for (const { offset, value } of decodeRecords(chunk.subarray(at, at + header.bytes)))
            found.set(offset, Buffer.from(value ?? '').toString());
        });
      expect(next).toBeGreaterThan(from);
      from = next;
    }
    expect([...found.keys()]).toEqual(Array.from({ length: committed - logStart }, (_, i) => logStart + i));
    expect(new Set(found.values()).size).toBe(found.size);
    for (const value of found.values()) expect(this.sent.has(value), value).toBe(true);
    for (const [offset, value] of this.acknowledged) expect(found.get(offset)).toBe(value);
  }
}
