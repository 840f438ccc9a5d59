import assert from 'node:assert/strict';
import { isStorageError, type SegmentWriter, type StorageCode } from '@robustmq/core';
import { NOON } from '../batches.ts';
import type { EngineTrial } from '../check.ts';
import { refused } from '../expect.ts';
import { type Command, make, SLOTS } from './commands.ts';
import { ModelSegment } from './model-segment.ts';

const GONE: readonly StorageCode[] = ['SEGMENT_UNKNOWN', 'SEGMENT_LOST'];
/** Beyond it batches are small: an engine in memory has little more. */
const MOST_BYTES = 48 * 1024 * 1024;

/** Runs commands on one engine and a handful of segments, and holds every answer against their oracles. */
export class EngineModel {
  readonly #trial: EngineTrial;
  readonly #prefix: string;
  readonly #slots: ModelSegment[][] = Array.from({ length: SLOTS }, () => []);
  readonly #late: unknown[] = [];
  #made = 0;
  #bytes = 0;

  constructor(trial: EngineTrial, prefix: string) {
    this.#trial = trial;
    this.#prefix = prefix;
  }

  async run(command: Command): Promise<void> {
    await this.#obey(command);
    if (this.#late.length > 0) throw this.#late[0];
  }

  /** Ends everything, reads all that is left, and leaves the engine as it was. */
  async finish(): Promise<void> {
    for (const segment of this.#all()) {
      if (segment.standing === 'lost' || segment.standing === 'deleted') continue;
      await segment.recover(this.#trial.engine, segment.epoch + 1);
      await segment.settle();
      await segment.stale?.close();
      await this.#readThrough(segment, 5000);
    }
    await this.#list(1000);
    for (const segment of this.#all()) await this.#delete(segment);
    if (this.#late.length > 0) throw this.#late[0];
    assert.deepEqual(await this.#trial.engine.list({ prefix: this.#prefix, limit: 10 }), [], 'ids that are left');
  }

  async #obey(command: Command): Promise<void> {
    const { engine } = this.#trial;
    switch (command.do) {
      case 'append':
        return await this.#append(command);
      case 'reopen':
        return await this.#reopen(command.crash);
      case 'list':
        return await this.#list(command.limit);
      case 'reader':
        return await this.#reader(this.#older(command.slot, command.back));
      case 'delete':
        return await this.#delete(this.#older(command.slot, command.back));
      case 'recover':
        return await this.#recover(this.#older(command.slot, 0), command.epochs);
      case 'seal': {
        const segment = this.#older(command.slot, 0);
        if (segment?.standing !== 'open') return;
        const sealed = segment.seal();
        if (command.wait) await sealed;
        return;
      }
      case 'stale': {
        const stale = this.#older(command.slot, 0)?.stale;
        if (stale === undefined) return;
        const { end } = stale.offsets();
        const made = make([{ records: 1, size: 9, ms: 0 }], 'stale', end, 1000);
        await refused(stale.append(made.batches, { base: end }), [
          'FENCED',
          'WRITER_FAILED',
          'SEGMENT_SEALED',
          'SEGMENT_UNKNOWN',
          'OFFSET_MISMATCH',
        ]);
        return;
      }
      default: {
        const segment = 'slot' in command ? this.#older(command.slot, 0) : undefined;
        if (segment === undefined) return;
        if (command.do === 'settle') return await segment.settle();
        const { standing, writer } = segment;
        if (standing === 'open' && writer !== undefined) return await this.#ask(command, segment, writer);
        if (standing !== 'sealed') return;
        const reader = await engine.openReader(segment.id);
        await this.#ask(command, segment, reader);
        await reader.close();
      }
    }
  }

  async #append(command: Command & { readonly do: 'append' }): Promise<void> {
    const { segment, writer } = await this.#open(command.slot);
    const most = this.#bytes > MOST_BYTES ? 20_000 : this.#trial.definition.capabilities.maxBatchBytes;
    const made = make(command.batches, `${this.#prefix}${this.#made++}`, segment.oracle.next, most);
    this.#bytes += made.bytes;
    try {
      for (let wait = writer.ready(made.bytes); wait !== undefined; wait = writer.ready(made.bytes)) await wait;
    } catch (error) {
      if (!isStorageError(error, 'SEGMENT_MUST_ROLL')) throw error;
      segment.mustRoll = true;
      return;
    }
    await segment.clearDoubt(writer);
    // a refusal may have come while it waited
    const now = make(command.batches, `${this.#prefix}${this.#made++}`, segment.oracle.next, most);
    segment.append(writer, now, command.abort);
    if (command.wait) await segment.settle();
  }

  /** The slot's segment that takes appends, another one when the last can't. */
  async #open(slot: number): Promise<{ readonly segment: ModelSegment; readonly writer: SegmentWriter }> {
    const old = this.#older(slot, 0);
    if (old?.standing === 'open' && old.writer !== undefined && !old.mustRoll)
      return { segment: old, writer: old.writer };
    if (old?.standing === 'open') await old.seal();
    const id = `${this.#prefix}${slot}-${this.#slots[slot]?.length ?? 0}`;
    const segment = new ModelSegment(id, old?.oracle.next ?? slot * 1000, (error) => this.#late.push(error));
    await segment.create(this.#trial.engine);
    this.#slots[slot]?.unshift(segment);
    if (segment.writer === undefined) throw new Error(`no writer of ${id}`);
    return { segment, writer: segment.writer };
  }

  async #ask(
    command: Command,
    segment: ModelSegment,
    reader: Pick<SegmentWriter, 'offsets' | 'read' | 'offsetForTimestamp'>,
  ): Promise<void> {
    const { oracle } = segment;
    const { base, committed, end, sealed } = reader.offsets();
    oracle.checkCommitted(committed);
    assert.equal(base, segment.base, 'base');
    assert.ok(end <= oracle.next, `the end is ${end}, appended up to ${oracle.next}`);
    assert.ok(!sealed || segment.standing === 'sealed', 'nobody has sealed it');
    if (command.do === 'read') {
      const { at, maxBytes } = command;
      // a little past both ends
      const from = base - 1 + Math.round((at / 1000) * (committed - base + 2));
      if (from < base || from > committed) {
        if (from >= 0 && reader.offsets().committed === committed && segment.standing === 'sealed')
          await refused(reader.read(from, { maxBytes }), from < base ? 'OFFSET_TRIMMED' : 'OFFSET_BEYOND_END', 'none');
        return;
      }
      const read = await reader.read(from, { maxBytes });
      oracle.checkRead(from, maxBytes, read, [committed, reader.offsets().committed]);
    }
    if (command.do === 'time') {
      const found = await reader.offsetForTimestamp(NOON + command.ms);
      const wanted = [committed, reader.offsets().committed].map((below) =>
        oracle.offsetForTime(NOON + command.ms, below),
      );
      assert.ok(
        wanted.includes(found),
        `for time ${command.ms} the offset is ${wanted.join(' or ')}, it says ${found}`,
      );
    }
  }

  async #reader(segment: ModelSegment | undefined): Promise<void> {
    if (segment === undefined) return;
    const { engine } = this.#trial;
    const { id, standing } = segment;
    if (standing === 'deleted' || standing === 'lost') await refused(engine.openReader(id), GONE, 'none');
    else if (standing === 'open') await refused(engine.openReader(id), 'SEGMENT_NOT_SEALED', 'none');
    else if (standing === 'sealed') await this.#readThrough(segment, 3000);
  }

  async #readThrough(segment: ModelSegment, maxBytes: number): Promise<void> {
    const reader = await this.#trial.engine.openReader(segment.id);
    await segment.checkAll(reader, maxBytes);
    await reader.close();
  }

  async #recover(segment: ModelSegment | undefined, epochs: number): Promise<void> {
    if (segment === undefined) return;
    const { engine } = this.#trial;
    const { id, standing } = segment;
    const epoch = segment.epoch + epochs;
    if (standing === 'deleted' || standing === 'lost') await refused(engine.recover(id, { epoch }), GONE, 'none');
    else if (epochs < 0) await refused(engine.recover(id, { epoch }), 'FENCED', 'none');
    else await segment.recover(engine, epoch);
  }

  async #delete(segment: ModelSegment | undefined): Promise<void> {
    if (segment === undefined) return;
    segment.disturbed = true;
    const writer = segment.writer ?? segment.stale;
    await this.#trial.engine.delete(segment.id);
    segment.standing = 'deleted';
    segment.writer = undefined;
    segment.stale = undefined;
    await writer?.close().catch(() => {});
    await segment.settle();
  }

  async #list(limit: number): Promise<void> {
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await this.#trial.engine.list({
        prefix: this.#prefix,
        limit,
        ...(after === undefined ? {} : { after }),
      });
      seen.push(...page);
      after = page.at(-1);
      if (after === undefined) break;
    }
    const lost = new Set(this.#all().flatMap(({ id, standing }) => (standing === 'lost' ? [id] : [])));
    const held = this.#all().filter(({ standing }) => standing !== 'lost' && standing !== 'deleted');
    assert.deepEqual(
      seen.filter((id) => !lost.has(id)),
      held.map(({ id }) => id).sort(),
      'ids in the list',
    );
  }

  async #reopen(crash: boolean): Promise<void> {
    const { harness, definition } = this.#trial;
    const crashed = crash && harness.canCrash;
    const lost = definition.capabilities.durability === 'none';
    for (const segment of this.#all()) {
      segment.disturbed = true;
      if (crashed) segment.orphan({ crashed, lost });
    }
    await harness.reopen({ crash: crashed });
    if (crashed) return;
    for (const segment of this.#all()) {
      await segment.settle();
      segment.orphan({ crashed, lost });
    }
  }

  #older(slot: number, back: number): ModelSegment | undefined {
    return this.#slots[slot]?.[back];
  }

  #all(): ModelSegment[] {
    return this.#slots.flat();
  }
}
