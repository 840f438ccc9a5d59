export interface StreamTarget {
  readonly partBytes: number;
  readonly partsAtOnce: number;
  /** Whether the bytes of a part that was put are ours again. Over a store that is asked again after a lost reply, an earlier try may still send them. */
  readonly returnsParts: boolean;
  /** All of it, when that is less than a part. */
  whole(body: readonly Uint8Array[]): Promise<void>;
  begin(): Promise<string>;
  part(upload: string, part: number, body: readonly Uint8Array[]): Promise<string>;
  complete(upload: string, parts: readonly string[]): Promise<void>;
  abort(upload: string): Promise<void>;
}

/** Puts a stream in parts, some at once; memory holds those and the one that is being gathered. @returns bytes */
export async function putStream(chunks: AsyncIterable<Uint8Array>, target: StreamTarget): Promise<number> {
  const upload = new StreamUpload(target);
  try {
    let part = upload.emptyPart();
    for await (const chunk of chunks) {
      for (let from = 0; from < chunk.length; ) {
        from += part.fill(chunk, from);
        if (!part.isFull) continue;
        await upload.put(part);
        part = upload.emptyPart();
      }
    }
    return await upload.finish(part);
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

/** A buffer of its own: the source may use its chunks again, and a part is sent again after a failure. */
class Part {
  readonly #bytes: Buffer;
  #used = 0;

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafeSlow(size);
  }

  get isFull(): boolean {
    return this.#used === this.#bytes.length;
  }

  /** For other bytes. */
  emptied(): this {
    this.#used = 0;
    return this;
  }

  get body(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  fill(chunk: Uint8Array, from: number): number {
    const bytes = Math.min(chunk.length - from, this.#bytes.length - this.#used);
    this.#bytes.set(chunk.subarray(from, from + bytes), this.#used);
    this.#used += bytes;
    return bytes;
  }
}

class StreamUpload {
  readonly #target: StreamTarget;
  #upload: string | undefined;
  readonly #etags: string[] = [];
  readonly #flights = new Set<Promise<void>>();
  /** New memory is slow: the system clears each page of it. */
  readonly #returned: Part[] = [];
  #failure: { readonly error: unknown } | undefined;
  #parts = 0;
  #bytes = 0;

  constructor(target: StreamTarget) {
    this.#target = target;
  }

  emptyPart(): Part {
    return this.#returned.pop()?.emptied() ?? new Part(this.#target.partBytes);
  }

  async put(part: Part): Promise<void> {
    this.#upload ??= await this.#target.begin();
    const { body } = part;
    const index = this.#parts++;
    this.#bytes += body.length;
    const flight = this.#target
      .part(this.#upload, index + 1, [body])
      .then(
        (etag) => {
          this.#etags[index] = etag;
          if (this.#target.returnsParts) this.#returned.push(part);
        },
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => void this.#flights.delete(flight));
    this.#flights.add(flight);
    if (this.#flights.size >= this.#target.partsAtOnce) await Promise.race(this.#flights);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async finish(rest: Part): Promise<number> {
    if (this.#upload === undefined) {
      await this.#target.whole([rest.body]);
      return rest.body.length;
    }
    if (rest.body.length > 0) await this.put(rest);
    await Promise.all(this.#flights);
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#target.complete(this.#upload, this.#etags);
    return this.#bytes;
  }

  /** What it leaves when this fails, too, is found by the row that knows the upload. */
  async abort(): Promise<void> {
    await Promise.all(this.#flights);
    if (this.#upload !== undefined) await this.#target.abort(this.#upload).catch(() => {});
  }
}
