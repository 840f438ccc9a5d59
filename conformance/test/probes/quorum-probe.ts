/**
 * A probe of the contract: three replicas in one process, two of which must hold an append before it is acknowledged. A replica may be slow, go
 * away, come back without what it missed, or without its disk. When one has missed something the writer asks for a new segment. Recovery makes two
 * replicas promise to take nothing of former writers, takes the longest copy among them (or the end that one of them had accepted), makes
 * two replicas hold it, and only then says so: any two of three share one.
 */
import {
  type CreateOptions,
  defineEngine,
  ENGINE_API_VERSION,
  type EngineContext,
  type EngineDefinition,
  forEachBatch,
  headerDigest,
  type IngestOptions,
  type IngestResult,
  type SegmentReader,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import { mediumName } from './medium-name.ts';
import { type Climate, QuorumMedium } from './quorum-medium.ts';
import { decide, QuorumReader, QuorumWriter } from './quorum-segment.ts';
import { type Caller, type Copy, endOf, type Run } from './replica.ts';
import { spanOf } from './stored-batches.ts';

const MAX_BATCH_BYTES = 1024 * 1024;
const MAJORITY = 2;

/** By name: what survives a process. */
export const quorumMedia: Map<string, QuorumMedium> = new Map();

export const quorumProbe: EngineDefinition = defineEngine<{ readonly climate: Climate }>({
  name: 'quorum-probe',
  apiVersion: ENGINE_API_VERSION,
  version: '0.0.0',
  configSchema: {
    type: 'object',
    additionalProperties: false,
    properties: { climate: { enum: ['calm', 'slow', 'lossy'], default: 'calm' } },
  },
  capabilities: { durability: 'quorum', placement: 'cluster', append: true, maxBatchBytes: MAX_BATCH_BYTES },
  open: async (ctx) => {
    const name = await mediumName(ctx);
    const medium = quorumMedia.get(name) ?? new QuorumMedium(quorumMedia.size, name, ctx.dir);
    quorumMedia.set(name, medium);
    medium.climate = ctx.config.climate;
    return new QuorumEngine(ctx, medium, medium.callerOn(ctx.dir));
  },
}) as EngineDefinition; // the suite hands it the settings of its own schema

class QuorumEngine implements StorageEngine {
  readonly incarnation: string;
  readonly #ctx: EngineContext<{ readonly climate: Climate }>;
  readonly #medium: QuorumMedium;
  readonly #caller: Caller;
  readonly #writers = new Map<string, QuorumWriter>();
  /** Of one segment, one at a time: two nodes never share an epoch, two calls of one node may. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(ctx: EngineContext<{ readonly climate: Climate }>, medium: QuorumMedium, caller: Caller) {
    this.#ctx = ctx;
    this.#medium = medium;
    this.#caller = caller;
    this.incarnation = medium.incarnation;
  }

  create(id: string, { base, epoch, state }: CreateOptions): Promise<SegmentWriter> {
    return this.#inTurn(id, async () => {
      const copy: Copy = { uid: this.#ctx.random.uuid(), base, state: state.slice(), promised: 2 * epoch, runs: [] };
      const ensemble = await this.#publish(id, copy);
      const writer = new QuorumWriter(id, copy, 2 * epoch, ensemble, this.#medium, this.#caller);
      this.#writers.set(id, writer);
      return writer;
    });
  }

  recover(id: string, { epoch }: { readonly epoch: number }): Promise<{ readonly end: number }> {
    return this.#inTurn(id, async () => {
      const ballot = 2 * epoch + 1;
      const answers = await this.#medium.all(this.#caller, (one) => ({ ...one.promise(id, ballot), wiped: one.wiped }));
      if (answers.some(({ value }) => value.fenced))
        throw new StorageError('FENCED', 'A higher epoch has the segment', { where: id, outcome: 'none' });
      const copies = await this.#living(
        id,
        answers.map(({ value }) => value),
      );
      this.#writers.get(id)?.fail(new StorageError('FENCED', `Epoch ${epoch} took the segment over`, { where: id }));
      const end = chooseEnd(copies);
      const source = copies.find((copy) => endOf(copy) >= end);
      if (source === undefined)
        throw new StorageError('IO_ERROR', 'No replica has it all now', { where: id, retryable: true });
      const taken = await this.#medium.all(this.#caller, (one) => one.accept(id, source, ballot, end));
      if (taken.some(({ value }) => value === 'fenced'))
        throw new StorageError('FENCED', 'A higher epoch came between', { where: id, outcome: 'none' });
      if (taken.filter(({ value }) => value === 'ok').length < MAJORITY) throw tooFew(id);
      await decide(this.#medium, this.#caller, id, source.uid, end);
      return { end };
    });
  }

  ingest(id: string, options: IngestOptions, batches: AsyncIterable<Uint8Array>): Promise<IngestResult> {
    return this.#inTurn(id, async () => {
      const { base, end, epoch, uid: attempt, state } = options;
      const runs: Run[] = [];
      let [bytes, crc] = [0, 0];
      for await (const chunk of batches) {
        forEachBatch(chunk, (header, at) => {
          crc = headerDigest(crc, chunk.subarray(at, at + header.bytes));
        });
        bytes += chunk.length;
        if (chunk.length > 0) runs.push({ ...spanOf(chunk), place: this.#medium.shelf.put(chunk) });
      }
      const ingest = { attempt, end, bytes, crc };
      const uid = this.#ctx.random.uuid();
      await this.#publish(
        id,
        { uid, base, state: state.slice(), promised: 2 * epoch, runs, ingest, decided: end },
        attempt,
      );
      return { bytes, crc };
    });
  }

  async openReader(id: string): Promise<SegmentReader> {
    const answers = await this.#medium.all(this.#caller, (one) => ({ copy: one.look(id), wiped: one.wiped }));
    const copies = await this.#living(
      id,
      answers.map(({ value }) => value),
    );
    const decided = copies.find((copy) => copy.decided !== undefined);
    if (decided === undefined) throw new StorageError('SEGMENT_NOT_SEALED', 'Its end is not settled', { where: id });
    return new QuorumReader(id, decided, this.#medium, this.#caller);
  }

  delete(id: string): Promise<void> {
    return this.#inTurn(id, async () => {
      const answers = await this.#medium.all(this.#caller, (one) => one.look(id)?.uid);
      if (answers.length < MAJORITY) throw tooFew(id);
      for (const uid of new Set(answers.map(({ value }) => value))) {
        if (uid === undefined) continue;
        const buried = await this.#medium.all(this.#caller, (one) => one.bury(id, uid));
        if (buried.length < MAJORITY) throw tooFew(id);
      }
      this.#writers.get(id)?.fail(new StorageError('FENCED', 'The segment has been deleted', { where: id }));
      this.#writers.delete(id);
    });
  }

  async list(options: { readonly prefix: string; readonly after?: string; readonly limit: number }): Promise<string[]> {
    const { prefix, after, limit } = options;
    const answers = await this.#medium.all(this.#caller, (one) =>
      one.ids().map((id) => [id, one.look(id)?.uid ?? ''] as const),
    );
    if (answers.length < MAJORITY) throw tooFew(prefix);
    const held = new Map(
      answers.flatMap(({ value }) => value.map(([id, uid]) => [`${id}/${uid}`, { id, uid }] as const)),
    );
    const buried = await this.#medium.all(this.#caller, (one) =>
      [...held.values()].filter(({ uid }) => one.isBuried(uid)),
    );
    const dead = new Set(buried.flatMap(({ value }) => value.map(({ id, uid }) => `${id}/${uid}`)));
    const ids = [...held].filter(([key]) => !dead.has(key)).map(([, { id }]) => id);
    return [...new Set(ids)]
      .filter((id) => id.startsWith(prefix) && (after === undefined || id > after))
      .sort()
      .slice(0, limit);
  }

  async close(): Promise<void> {
    const closed = new StorageError('CLOSED', 'The engine is closed', { outcome: 'unknown' });
    for (const writer of this.#writers.values()) writer.fail(closed);
    await Promise.allSettled(this.#turns.values());
  }

  /** Puts a first copy on all that answer. @returns those that have it */
  async #publish(id: string, copy: Copy, attempt?: string): Promise<QuorumMedium['replicas']> {
    const answers = await this.#medium.all(this.#caller, (one) => one.create(id, copy));
    for (const { replica, value } of answers) {
      if (value.exists === undefined) continue;
      const { uid, ingest } = value.exists;
      if (await this.#isBuried(uid)) {
        // it was away when that one was deleted
        await this.#medium.one(this.#caller, replica, (one) => one.bury(id, uid));
        return await this.#publish(id, copy, attempt);
      }
      // of the copies that were put just now none may stay
      await this.#medium.all(this.#caller, (one) => one.bury(id, copy.uid));
      if (attempt !== undefined && ingest?.attempt === attempt) return [];
      throw new StorageError('SEGMENT_EXISTS', 'There is such a segment', { where: id });
    }
    if (answers.length < MAJORITY) throw tooFew(id);
    return answers.map(({ replica }) => replica);
  }

  /** Copies of the segment, when enough replicas know whether there is one. */
  async #living(
    id: string,
    answers: readonly { readonly copy: Copy | undefined; readonly wiped: boolean }[],
  ): Promise<readonly Copy[]> {
    const copies: Copy[] = [];
    for (const { copy } of answers) if (copy !== undefined && !(await this.#isBuried(copy.uid))) copies.push(copy);
    const sure = answers.filter(({ copy, wiped }) => copy !== undefined || !wiped).length;
    if (copies.length === 0 && sure >= MAJORITY)
      throw new StorageError('SEGMENT_UNKNOWN', 'Two replicas know of no such segment', { where: id });
    if (copies.length === 0 && answers.length === this.#medium.replicas.length)
      throw new StorageError('SEGMENT_LOST', 'Who may have held it has lost its disk', { where: id });
    if (sure < MAJORITY && !copies.some(({ decided }) => decided !== undefined)) throw tooFew(id);
    return copies;
  }

  async #isBuried(uid: string): Promise<boolean> {
    const answers = await this.#medium.all(this.#caller, (one) => one.isBuried(uid));
    return answers.some(({ value }) => value);
  }

  #inTurn<T>(id: string, run: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).then(run, run);
    const settled = turn.then(
      () => {},
      () => {},
    );
    this.#turns.set(id, settled);
    void settled.then(() => {
      if (this.#turns.get(id) === settled) this.#turns.delete(id);
    });
    return turn;
  }
}

/** Decided is final; accepted may have been decided, by the highest ballot; else everything that may have been acknowledged. */
function chooseEnd(copies: readonly Copy[]): number {
  const decided = copies.find((copy) => copy.decided !== undefined)?.decided;
  if (decided !== undefined) return decided;
  const accepted = copies.flatMap((copy) => copy.accepted ?? []).sort((a, b) => b.ballot - a.ballot)[0];
  return accepted?.end ?? Math.max(...copies.map(endOf));
}

function tooFew(where: string): StorageError {
  return new StorageError('IO_ERROR', 'Fewer than two replicas answered', { where, retryable: true });
}
