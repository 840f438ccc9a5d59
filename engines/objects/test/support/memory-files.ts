import type { CallOptions, FileStore, PutOptions } from '../../src/store/port.ts';
import { StoreError } from '../../src/store/port.ts';
import type { Bucket } from './bucket.ts';
import { MemoryStore, type MemoryStoreOptions } from './memory-store.ts';

/** How often an append that fails leaves a part of itself, and a put something in the folder for what is not whole. */
const TORN = 0.3;
const LEFT = 0.1;

/** A client of a store of files. In rough weather appends are torn, and what puts had begun is left behind. */
export class MemoryFiles extends MemoryStore implements FileStore {
  readonly #files: Bucket;
  readonly #random: MemoryStoreOptions['random'];
  #folder: string | undefined;
  #named = 0;
  readonly #left = new Set<string>();

  constructor(options: MemoryStoreOptions) {
    super(options);
    this.#files = options.bucket;
    this.#random = options.random;
  }

  workIn(folder: string): void {
    this.#folder = folder;
  }

  override async put(key: string, body: readonly Uint8Array[], options: PutOptions): Promise<void> {
    try {
      await super.put(key, body, options);
    } catch (error) {
      if (this.#folder !== undefined && this.#random.next() < LEFT) {
        const key = `${this.#folder}${this.#named++}`;
        this.#files.put(key, new Uint8Array(1), options.uid);
        this.#left.add(key);
      }
      throw error;
    }
  }

  async append(
    key: string,
    at: number,
    body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
    options: CallOptions = {},
  ): Promise<void> {
    const chunks: Uint8Array[] = [];
    // the source may use its chunks again
    for await (const chunk of body) chunks.push(Uint8Array.prototype.slice.call(chunk));
    const bytes = Buffer.concat(chunks);
    await this.request('PUT', key, options, () => {
      const isTorn = this.weather.replyLost > 0 && this.#random.next() < this.weather.replyLost * TORN;
      this.#files.append(key, at, isTorn ? bytes.subarray(0, bytes.length * this.#random.next()) : bytes);
      if (isTorn) throw new StoreError('unreachable', 'the connection was cut', { mayBeApplied: true });
    });
  }

  get left(): number {
    return this.#left.size;
  }

  tidyUp(options: CallOptions = {}): Promise<void> {
    return this.request('DELETE', this.#folder ?? '', options, () => {
      for (const key of this.#left) this.#files.delete(key);
      this.#left.clear();
    });
  }

  deleteFolder(folder: string, options: CallOptions = {}): Promise<void> {
    return this.request('DELETE', folder, options, () => {
      for (const key of [...this.#files.objects.keys()]) if (key.startsWith(folder)) this.#files.delete(key);
    });
  }
}
