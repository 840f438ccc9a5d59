import type { BatchHeader } from '../batch/header.ts';
import { StorageError } from '../errors.ts';
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

/** How many sequences there are before they begin again. */
const SEQUENCES = 2 ** 31;
/** Producers of one shard whose refused batch is waited for. */
const MAX_EXPECTED = 1000;

interface PendingBatch extends RememberedBatch {
  readonly epoch: number;
  readonly entry: AppendEntry;
}

/** Batches of idempotent producers that are dispatched but not committed: not yet in the fold, yet later ones are judged by them. */
export class PendingSequences {
  readonly #byProducer = new Map<number, PendingBatch[]>();
  /**
   * What was refused for good with its outcome known, and so must come again before anything behind it: a producer that is new here may
   * begin at any sequence, and must not begin behind a batch of its own that was not stored.
   */
  readonly #expected = new Map<number, { readonly epoch: number; readonly sequence: number }>();

  /**
   * `duplicate` comes with the entry to wait for when the first one is still on its way.
   * @throws SEQUENCE_GAP, PRODUCER_FENCED
   */
  check(
    header: BatchHeader,
    committed: Producers,
  ): SequenceVerdict | { readonly kind: 'pending'; readonly entry: AppendEntry } {
    const pending = this.#byProducer.get(header.producerId);
    const newest = pending?.at(-1);
    if (pending === undefined || newest === undefined) return this.#checkExpected(header, committed.check(header));
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

  /** It was not applied, and its caller knows. */
  expect(entry: AppendEntry): void {
    const header = entry.headers[0];
    if (header === undefined || header.producerId < 0) return;
    // the lowest of those that were refused must come first, in whatever order they were: one behind it may have been told sooner
    const known = this.#expected.get(header.producerId);
    if (known?.epoch === header.producerEpoch && !isBefore(header.baseSequence, known.sequence)) return;
    this.#expected.set(header.producerId, { epoch: header.producerEpoch, sequence: header.baseSequence });
    if (this.#expected.size <= MAX_EXPECTED) return;
    const oldest = this.#expected.keys().next().value;
    if (oldest !== undefined) this.#expected.delete(oldest);
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

  #checkExpected(header: BatchHeader, verdict: SequenceVerdict): SequenceVerdict {
    const expected = this.#expected.get(header.producerId);
    if (expected === undefined || verdict.kind === 'duplicate') return verdict;
    // one in front of it may come: its outcome was not known, and now it is sent again
    if (header.producerEpoch === expected.epoch && isBefore(expected.sequence, header.baseSequence))
      throw new StorageError(
        'SEQUENCE_GAP',
        `producer ${header.producerId} sent sequence ${header.baseSequence}, but ${expected.sequence} was refused and comes first`,
      );
    this.#expected.delete(header.producerId);
    return verdict;
  }
}

/** Sequences begin again at 0 behind 2^31 - 1: the one from which the other is reached in fewer steps is before it. */
function isBefore(sequence: number, other: number): boolean {
  const steps = (other - sequence + SEQUENCES) % SEQUENCES;
  return steps > 0 && steps < SEQUENCES / 2;
}
