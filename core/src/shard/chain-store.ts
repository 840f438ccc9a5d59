import { StorageError } from '../errors.ts';
import type { Meta, MetaCommitResult, MetaMutation } from '../meta/port.ts';
import type { Clock, Random } from '../world.ts';
import {
  chainPrefix,
  type HeadRow,
  headCodec,
  headKey,
  liveKey,
  NEW_HEAD,
  type SegmentRow,
  segmentCodec,
  segmentKey,
} from './chain.ts';

export interface ChainChange {
  readonly head?: Partial<HeadRow>;
  readonly puts?: readonly SegmentRow[];
  readonly deletes?: readonly number[];
  /** Rows beside the chain that must change with it. */
  readonly otherPuts?: readonly { readonly key: string; readonly value: Uint8Array }[];
  readonly otherDeletes?: readonly string[];
}

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 2000;
const TROUBLE_AFTER_MS = 3000;

/**
 * One shard's rows in Meta. Changes are sent one after the other, each guarded by the head row as this node last wrote it: another owner's
 * commit makes every later one of ours fail with NOT_OWNER. A reply that was lost is asked for again with the same id until it is known.
 */
export class ChainStore {
  readonly #meta: Meta;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #topicId: string;
  readonly #shard: number;
  #head: HeadRow = NEW_HEAD;
  #headRevision = 0;
  #liveRevision = 0;
  #last: Promise<void> = Promise.resolve();
  #stopped = false;
  #failingSince: number | undefined;
  #failure: StorageError | undefined;

  constructor(options: { meta: Meta; clock: Clock; random: Random; topicId: string; shard: number }) {
    this.#meta = options.meta;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#topicId = options.topicId;
    this.#shard = options.shard;
  }

  /** As Meta has it: behind what this node does by what is on its way. */
  get head(): HeadRow {
    return this.#head;
  }

  /** @throws TOPIC_UNKNOWN, CORRUPT, FORMAT_TOO_NEW */
  async load(): Promise<SegmentRow[]> {
    const key = headKey(this.#topicId, this.#shard);
    const [head, live] = await Promise.all([this.#meta.get(key), this.#meta.get(liveKey(this.#topicId))]);
    if (live === undefined) throw new StorageError('TOPIC_UNKNOWN', 'the topic was deleted', { where: key });
    this.#liveRevision = live.revision;
    this.#head = head === undefined ? NEW_HEAD : headCodec.decode(head.value, key);
    this.#headRevision = head?.revision ?? 0;
    const rows: SegmentRow[] = [];
    const prefix = chainPrefix(this.#topicId, this.#shard);
    for (let after: string | undefined, more = true; more; ) {
      const page = await this.#meta.list({ prefix, ...(after === undefined ? {} : { after }) });
      for (const entry of page.entries) rows.push(segmentCodec.decode(entry.value, entry.key));
      after = page.entries.at(-1)?.key;
      more = page.more && after !== undefined;
    }
    return rows;
  }

  /** @throws NOT_OWNER when another owner has taken over, or the topic is gone; CLOSED after {@link stop}. */
  commit(change: ChainChange): Promise<void> {
    const result = this.#last.then(() => this.#send(change));
    this.#last = result.catch(() => {});
    return result;
  }

  /** Set while Meta has not answered a commit for some time. */
  get trouble(): StorageError | undefined {
    if (this.#failingSince === undefined || this.#clock.monotonic() - this.#failingSince < TROUBLE_AFTER_MS)
      return undefined;
    return this.#failure;
  }

  /** Gives up on retries; what was sent may still arrive. */
  stop(): void {
    this.#stopped = true;
  }

  async #send(change: ChainChange): Promise<void> {
    const key = headKey(this.#topicId, this.#shard);
    const head: HeadRow = { ...this.#head, ...change.head };
    const mutation: MetaMutation = {
      id: this.#random.uuid(),
      guards: [
        { key, revision: this.#headRevision },
        { key: liveKey(this.#topicId), revision: this.#liveRevision },
      ],
      puts: [
        ...(change.head === undefined ? [] : [{ key, value: headCodec.encode(head) }]),
        ...(change.puts ?? []).map((row) => ({
          key: segmentKey(this.#topicId, this.#shard, row.seq),
          value: segmentCodec.encode(row),
        })),
        ...(change.otherPuts ?? []),
      ],
      deletes: [
        ...(change.deletes ?? []).map((seq) => segmentKey(this.#topicId, this.#shard, seq)),
        ...(change.otherDeletes ?? []),
      ],
    };
    const result = await this.#commitForSure(mutation);
    if (!result.ok)
      throw new StorageError('NOT_OWNER', 'the shard was taken over or its topic was deleted', {
        where: key,
        retryable: true,
      });
    if (change.head !== undefined) {
      this.#head = head;
      this.#headRevision = result.revision;
    }
  }

  async #commitForSure(mutation: MetaMutation): Promise<MetaCommitResult> {
    for (let delay = FIRST_RETRY_MS; ; delay = Math.min(delay * 2, MAX_RETRY_MS)) {
      if (this.#stopped)
        throw new StorageError('CLOSED', 'the node is stopping', { where: headKey(this.#topicId, this.#shard) });
      try {
        const result = await this.#meta.commit(mutation);
        this.#failingSince = undefined;
        return result;
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'META_UNAVAILABLE') throw error;
        this.#failingSince ??= this.#clock.monotonic();
        this.#failure = error;
        await new Promise<void>((resolve) => this.#clock.timer(delay, resolve));
      }
    }
  }
}
