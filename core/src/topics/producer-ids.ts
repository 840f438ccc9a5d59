import { StorageError } from '../errors.ts';
import type { Meta } from '../meta/port.ts';
import { type RowCodec, rowCodec } from '../meta/row.ts';
import type { Random } from '../world.ts';

/** Ids taken from Meta at a time. */
const BLOCK = 1000;
const KEY = 'producer-ids';
const MAX_TRIES = 20;

const nextCodec: RowCodec<{ next: number }> = rowCodec('P', 1, ({ next }) => {
  if (typeof next !== 'number' || !Number.isSafeInteger(next)) throw new Error('next is not a whole number');
  return { next };
});

/** Producer ids, never the same twice in a cluster: each node takes them in blocks; what is left of a block at the end is never used. */
export class ProducerIds {
  readonly #meta: Meta;
  readonly #random: Random;
  #next = 0;
  #end = 0;
  #taking: Promise<void> | undefined;

  constructor(meta: Meta, random: Random) {
    this.#meta = meta;
    this.#random = random;
  }

  async next(): Promise<number> {
    while (this.#next >= this.#end) {
      this.#taking ??= this.#take().finally(() => {
        this.#taking = undefined;
      });
      await this.#taking;
    }
    return this.#next++;
  }

  async #take(): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const entry = await this.#meta.get(KEY);
      const first = entry === undefined ? 0 : nextCodec.decode(entry.value, KEY).next;
      const result = await this.#meta.commit({
        id: this.#random.uuid(),
        guards: [{ key: KEY, revision: entry?.revision ?? 0 }],
        puts: [{ key: KEY, value: nextCodec.encode({ next: first + BLOCK }) }],
      });
      if (!result.ok) continue;
      this.#next = first;
      this.#end = first + BLOCK;
      return;
    }
    throw new StorageError('META_UNAVAILABLE', 'no producer id could be taken: too many nodes ask at once', {
      outcome: 'none',
    });
  }
}
