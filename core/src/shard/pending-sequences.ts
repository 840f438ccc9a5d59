import type { BatchHeader } from '../batch/header.ts';
import {
  fenced,
  judge,
  type Producers,
  type RememberedBatch,
  remember,
  type SequenceVerdict,
  startsAtZero,
} from '../fold/producers.ts';
import type { AppendEntry } from './append-entry.ts';

interface PendingBatch extends RememberedBatch {
  readonly epoch: number;
  readonly entry: AppendEntry;
}

/** Batches of idempotent producers that are dispatched but not committed: not yet in the fold, yet later ones are judged by them. */
export class PendingSequences {
  readonly #byProducer = new Map<number, PendingBatch[]>();

  /**
   * `duplicate` comes with the entry to wait for when the first one is still on its way.
   * @throws SEQUENCE_GAP, SEQUENCE_DUPLICATE, PRODUCER_FENCED
   */
  check(
    header: BatchHeader,
    committed: Producers,
  ): SequenceVerdict | { readonly kind: 'pending'; readonly entry: AppendEntry } {
    const pending = this.#byProducer.get(header.producerId);
    const newest = pending?.at(-1);
    if (pending === undefined || newest === undefined) return committed.check(header);
    if (header.producerEpoch > newest.epoch) return startsAtZero(header);
    if (header.producerEpoch < newest.epoch) throw fenced(header, newest.epoch);
    const last = (header.baseSequence + header.lastOffsetDelta) % 2 ** 31;
    const same = pending.find(
      (b) => b.epoch === header.producerEpoch && b.firstSequence === header.baseSequence && b.lastSequence === last,
    );
    if (same !== undefined) return { kind: 'pending', entry: same.entry };
    const ofEpoch = pending.filter((b) => b.epoch === header.producerEpoch);
    try {
      return judge(header, ofEpoch);
    } catch (error) {
      // it may repeat one that is committed already
      const before = committed.check(header);
      if (before.kind === 'duplicate') return before;
      throw error;
    }
  }

  add(header: BatchHeader, entry: AppendEntry): void {
    const batch: PendingBatch = { ...remember(header), epoch: header.producerEpoch, entry };
    const pending = this.#byProducer.get(header.producerId);
    if (pending === undefined) this.#byProducer.set(header.producerId, [batch]);
    else pending.push(batch);
  }

  /** The entry was committed, or will never be. */
  remove(entry: AppendEntry): void {
    for (const header of entry.headers) {
      if (header.producerId < 0) continue;
      const pending = this.#byProducer.get(header.producerId);
      const index = pending?.findIndex((batch) => batch.entry === entry) ?? -1;
      if (index >= 0) pending?.splice(index, 1);
      if (pending?.length === 0) this.#byProducer.delete(header.producerId);
    }
  }
}
