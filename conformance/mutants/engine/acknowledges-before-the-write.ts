import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  readonly #late = new Map<number, Buffer>();
  #writing: Promise<unknown> = Promise.resolve();

  protected override async put(bytes: Buffer, at: number): Promise<void> {
    this.#late.set(at, bytes);
    const written = new Promise((resolve) => setImmediate(resolve)).then(() => super.put(bytes, at)).catch(() => {});
    this.#writing = Promise.all([this.#writing, written]);
  }

  override async read(into: Uint8Array, position: number): Promise<number> {
    for (const [at, bytes] of this.#late)
      if (position >= at && position < at + bytes.length) return bytes.subarray(position - at).copy(into);
    return await super.read(into, position);
  }

  protected override async sync(): Promise<void> {}

  protected override async beforeClose(): Promise<void> {
    await this.#writing;
  }
}

export const mutant: Mutant = {
  name: 'acknowledges before the write',
  incident:
    'etcd #14370: with a single member a put was answered before it was in the log. A clean stop writes everything, kill -9 nothing of it',
  stage: 'engine',
  caughtBy: 'SHARD-021',
  // each of them crashes right behind an answer
  // and those who fail or hold the write that is late
  alsoFails: [
    'SHARD-011',
    'SHARD-022',
    'SHARD-023',
    'SHARD-026',
    'SHARD-043',
    'SHARD-051',
    'SHARD-055',
    'SHARD-066',
    'SHARD-103',
    'SHARD-112',
    'SHARD-127',
    'SHARD-210',
    'SHARD-212',
    'SHARD-216',
    'SHARD-288',
  ],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
