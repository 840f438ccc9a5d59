import { StorageError } from '@robustmq/core';
import type { SteadyOptions, SteadyStore } from '../src/store/steady-store.ts';

/** Objects in memory, as far as they are read; tells what was asked for. */
export class StoredObjects implements Pick<SteadyStore, 'getRange' | 'getTail'> {
  readonly objects = new Map<string, Uint8Array>();
  readonly asked: {
    readonly key: string;
    readonly at: number;
    readonly bytes: number;
    readonly options?: SteadyOptions;
  }[] = [];
  /** Waited for before a range is given; may throw. */
  gate: (key: string, at: number) => Promise<void> = async () => {};

  async getRange(key: string, at: number, bytes: number, options?: SteadyOptions): Promise<Uint8Array> {
    this.asked.push({ key, at, bytes, ...(options === undefined ? {} : { options }) });
    await this.gate(key, at);
    if (options?.signal?.aborted === true) throw new StorageError('ABORTED', 'given up');
    const object = this.#object(key);
    if (at + bytes > object.length)
      throw new StorageError('CORRUPT', 'the object is shorter', { where: key, hint: 'put it back' });
    return Buffer.from(object.subarray(at, at + bytes));
  }

  async getTail(key: string, bytes: number): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    const object = this.#object(key);
    this.asked.push({ key, at: Math.max(0, object.length - bytes), bytes });
    return { bytes: Buffer.from(object.subarray(Math.max(0, object.length - bytes))), size: object.length };
  }

  #object(key: string): Uint8Array {
    const object = this.objects.get(key);
    if (object === undefined) throw new StorageError('SEGMENT_LOST', 'there is no such object', { where: key });
    return object;
  }
}
