import type { EngineDefinition } from '@robustmq/core';

/** A store that an engine is measured on, and what plain requests of the same bytes to it are. */
export interface ObjectsTarget {
  /** `MinIO on the same machine, client aws` */
  readonly title: string;
  readonly definition: EngineDefinition;
  readonly config: Readonly<Record<string, unknown>>;
  /** What `plainUpload` and `plainReads` are called. */
  readonly upload: string;
  readonly reads: string;
  /** @returns bytes */
  plainUpload(name: string, chunks: AsyncIterable<Uint8Array>): Promise<number>;
  /** The largest thing in the store, in pieces, as many at once as the engine reads ahead. @returns bytes */
  plainReads(): Promise<number>;
  stop(): Promise<void>;
}

/** Runs `read` over `bytes` in pieces, some at once. */
export async function inPieces(
  bytes: number,
  { pieceBytes, readAheadPieces }: { readonly pieceBytes: number; readonly readAheadPieces: number },
  read: (at: number, bytes: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next; at < bytes; at = next) {
      next += pieceBytes;
      await read(at, Math.min(pieceBytes, bytes - at));
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, readAheadPieces) }, worker));
  return bytes;
}
