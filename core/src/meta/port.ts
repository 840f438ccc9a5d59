/**
 * The port to the Meta Service: cluster metadata, small and strongly consistent. Behind it is a single node on `level` today, Raft
 * or etcd later, so: a call may take long, may fail with the outcome unknown, and nothing on the data path waits for one per record.
 */
import { StorageError } from '../errors.ts';

export const META_LIMITS = {
  /** Operations (guards, puts and deletes) of one commit. */
  operations: 128,
  /** Bytes of all keys and values of one commit. */
  bytes: 1_048_576,
  /** Bytes of one key. */
  keyBytes: 512,
  /** Rows of one page of `list`. */
  page: 1000,
} as const;

export interface MetaEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Of the commit that wrote this value. Starts at 1; grows by one with each commit. */
  readonly revision: number;
}

/** Holds when the key's revision is exactly this; 0 means that the key must not exist. */
export interface MetaGuard {
  readonly key: string;
  readonly revision: number;
}

export interface MetaMutation {
  /** Names this mutation, so that it is applied once however often it is sent. Unique; a UUID will do. */
  readonly id: string;
  readonly guards?: readonly MetaGuard[];
  readonly puts?: readonly { readonly key: string; readonly value: Uint8Array }[];
  readonly deletes?: readonly string[];
}

export type MetaCommitResult =
  | { readonly ok: true; readonly revision: number }
  /** A guard did not hold: `key` is the first one that did not, `revision` its revision now. */
  | { readonly ok: false; readonly key: string; readonly revision: number };

export type MetaEvent =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array; readonly revision: number }
  | { readonly type: 'delete'; readonly key: string; readonly revision: number };

export interface Meta {
  get(key: string): Promise<MetaEntry | undefined>;
  /** Keys with `prefix`, above `after` when given, in ascending order; `revision` is that of the state the page shows. */
  list(options: { readonly prefix: string; readonly after?: string; readonly limit?: number }): Promise<{
    readonly entries: readonly MetaEntry[];
    readonly revision: number;
    /** True when there are more behind the last one. */
    readonly more: boolean;
  }>;
  /**
   * All of it or nothing, durable once resolved. Sent again with the same id it is not applied again and gives the same result.
   * @throws META_UNAVAILABLE (outcome unknown: send the same id again, or read), META_LIMIT (none).
   */
  commit(mutation: MetaMutation): Promise<MetaCommitResult>;
  /**
   * One round trip; each mutation is atomic alone, in order, and within the limits. When it rejects any part of them may have been applied: send all of
   * them again with the same ids. Whoever has hundreds sends some at a time.
   */
  commitEach(mutations: readonly MetaMutation[]): Promise<MetaCommitResult[]>;
  /**
   * Changes of keys with `prefix` made by commits after revision `from`, in order, each commit's events together.
   * @throws META_COMPACTED when the changes from there on are no longer kept: list again and watch from that revision.
   */
  watch(options: {
    readonly prefix: string;
    readonly from: number;
    readonly signal: AbortSignal;
  }): AsyncIterable<readonly MetaEvent[]>;
}

/** Checks a mutation against the limits of the port. @throws META_LIMIT */
export function checkMutation(mutation: MetaMutation): void {
  const guards = mutation.guards ?? [];
  const puts = mutation.puts ?? [];
  const deletes = mutation.deletes ?? [];
  const operations = guards.length + puts.length + deletes.length;
  if (operations > META_LIMITS.operations)
    throw new StorageError(
      'META_LIMIT',
      `${operations} operations in one commit, the limit is ${META_LIMITS.operations}`,
    );
  let bytes = 0;
  const keys = [...guards.map((g) => g.key), ...puts.map((p) => p.key), ...deletes];
  for (const key of keys) {
    const length = Buffer.byteLength(key);
    if (length === 0 || length > META_LIMITS.keyBytes)
      throw new StorageError('META_LIMIT', `a key of ${length} bytes, the limits are 1 and ${META_LIMITS.keyBytes}`);
    bytes += length;
  }
  for (const put of puts) bytes += put.value.length;
  if (bytes > META_LIMITS.bytes)
    throw new StorageError('META_LIMIT', `${bytes} bytes in one commit, the limit is ${META_LIMITS.bytes}`);
}
