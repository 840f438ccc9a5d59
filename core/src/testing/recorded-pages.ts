import { createHash } from 'node:crypto';

export const PAGE_BYTES = 4096;
/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** The bytes of a file: pages of zeros take no memory, and copies share the pages that they have in common. */
export class SparseBytes {
  /** A page is never changed once it is in here. */
  readonly #pages: Map<number, Buffer>;
  #size: number;

  constructor(from?: SparseBytes) {
    this.#pages = new Map(from?.pages);
    this.#size = from?.size ?? 0;
  }

  get size(): number {
    return this.#size;
  }

  /** Those that are not zeros alone. */
  get pages(): ReadonlyMap<number, Buffer> {
    return this.#pages;
  }

  /** `bytes` of undefined: zeros. */
  write(position: number, length: number, bytes?: Uint8Array): void {
    const end = position + length;
    this.#size = Math.max(this.#size, end);
    for (let number = Math.floor(position / PAGE_BYTES); number * PAGE_BYTES < end; number++) {
      const start = number * PAGE_BYTES;
      const from = Math.max(position, start);
      const to = Math.min(end, start + PAGE_BYTES);
      const before = this.#pages.get(number);
      if (bytes === undefined && (before === undefined || to - from === PAGE_BYTES)) {
        this.#pages.delete(number);
        continue;
      }
      const page = before === undefined ? Buffer.alloc(PAGE_BYTES) : Buffer.from(before);
      if (bytes === undefined) page.fill(0, from - start, to - start);
      else page.set(bytes.subarray(from - position, to - position), from - start);
      this.#pages.set(number, page);
    }
  }

  truncate(length: number): void {
    if (length < this.#size) {
      for (const number of [...this.#pages.keys()]) if (number * PAGE_BYTES >= length) this.#pages.delete(number);
      const last = Math.floor(length / PAGE_BYTES);
      const page = this.#pages.get(last);
      if (page !== undefined) {
        const cut = Buffer.from(page);
        cut.fill(0, length - last * PAGE_BYTES);
        this.#pages.set(last, cut);
      }
    }
    this.#size = length;
  }

  read(position: number, length: number): Buffer {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.#size - position)));
    for (let at = 0; at < bytes.length; ) {
      const number = Math.floor((position + at) / PAGE_BYTES);
      const inPage = position + at - number * PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - inPage, bytes.length - at);
      this.#pages.get(number)?.copy(bytes, at, inPage, inPage + count);
      at += count;
    }
    return bytes;
  }

  /** The same for the same bytes. */
  digest(): string {
    const hash = createHash('sha1').update(String(this.#size));
    for (const [number, page] of [...this.#pages].sort(([a], [b]) => a - b)) {
      const digest = digestOf(page);
      if (digest !== ZERO_DIGEST) hash.update(`${number}:${digest}`);
    }
    return hash.digest('hex');
  }
}

const digests = new WeakMap<Buffer, string>();
const ZERO_DIGEST = createHash('sha1').update(Buffer.alloc(PAGE_BYTES)).digest('hex');

function digestOf(page: Buffer): string {
  const known = digests.get(page);
  if (known !== undefined) return known;
  const digest = createHash('sha1').update(page).digest('hex');
  digests.set(page, digest);
  return digest;
}
