import assert from 'node:assert/strict';
import { isStorageError } from '@robustmq/core';
import { NOON } from '../batches.ts';
import type { ShardTrial } from '../check.ts';
import { refused } from '../expect.ts';
import { ShardLog } from '../shard-log.ts';
import type { Call } from './call.ts';
import { type Command, type Made, make } from './commands.ts';
import { Oracle } from './oracle.ts';

const MOST_BYTES = 24 * 1024 * 1024;
const LONG_MS = 15_000;

/** Runs commands on one shard, and holds every answer against the oracle. The shard gives the offsets, so places are learnt from its answers. */
export class ShardModel {
  readonly #trial: ShardTrial;
  readonly #tag: string;
  readonly #log: ShardLog;
  readonly #late: unknown[] = [];
  #oracle: Oracle | undefined;
  #flights: Promise<void>[] = [];
  #life = 0;
  /** How often the shard was taken over. */
  #owner = 0;
  #made = 0;
  #bytes = 0;

  constructor(trial: ShardTrial, tag: string) {
    this.#trial = trial;
    this.#tag = tag;
    this.#log = new ShardLog(trial.harness);
  }

  async run(command: Command): Promise<void> {
    // what earlier runs left behind is none of this one's
    this.#oracle ??= new Oracle((await this.#trial.shard.offsets()).committed);
    await this.#obey(command, this.#oracle);
    if (this.#late.length > 0) throw this.#late[0];
  }

  async finish(): Promise<void> {
    const oracle = this.#oracle;
    if (oracle === undefined) return;
    await this.#settle();
    if (this.#late.length > 0) throw this.#late[0];
    // an append behind everything shows what became of all in front of it
    const made = this.#make([{ records: 1, size: 0, ms: 0 }]);
    const { next } = await this.#log.append(made.batches);
    oracle.acknowledged(oracle.called(made.parts), next - 1, next);
    await this.#readThrough(oracle, 5000);
    oracle.cut((await this.#log.offsets()).committed);
    await this.#trial.shard.trim(oracle.next);
  }

  async #obey(command: Command, oracle: Oracle): Promise<void> {
    const { shard, harness, definition } = this.#trial;
    switch (command.do) {
      case 'append':
        return await this.#append(command, oracle);
      case 'settle':
        return await this.#settle();
      case 'offsets':
        return void (await this.#committed(oracle));
      case 'read': {
        const committed = await this.#committed(oracle);
        const from = oracle.start + Math.round((command.at / 1000) * (committed - oracle.start));
        const read = await this.#log.read(from, command.maxBytes);
        return oracle.checkRead(from, command.maxBytes, read, [committed, (await this.#log.offsets()).committed]);
      }
      case 'time': {
        await this.#settle();
        await this.#readThrough(oracle, 50_000);
        const found = await this.#log.offsetForTimestamp(NOON + command.ms);
        const wanted = oracle.offsetForTime(NOON + command.ms, await this.#committed(oracle));
        // what was there before this run may answer first, unless it has been trimmed
        return assert.equal(found, wanted, `the offset for time ${command.ms}`);
      }
      case 'poll': {
        await this.#settle();
        const from = await this.#committed(oracle);
        const polled = shard.read(from, { maxBytes: 1000, maxWaitMs: LONG_MS });
        const made = this.#make(command.batches);
        await this.#credit(made);
        const call = oracle.called(made.parts);
        const { base, next } = await shard.append(made.batches);
        oracle.acknowledged(call, base, next);
        const read = await polled;
        const bytes = Buffer.concat(read.chunks);
        assert.ok(bytes.length > 0, `a reader that waited at ${from} was given nothing`);
        return oracle.checkRead(from, 1000, { bytes, next: read.next }, [next, (await this.#log.offsets()).committed]);
      }
      case 'trim': {
        await this.#settle();
        await this.#readThrough(oracle, 50_000);
        const ends = oracle.boundaries();
        const before = ends[Math.round((command.at / 1000) * (ends.length - 1))] ?? oracle.start;
        assert.equal(await shard.trim(before), before, 'the start after a trim');
        oracle.start = before;
        if (before > 0) await refused(shard.read(before - 1, { maxBytes: 1 }), 'OFFSET_TRIMMED', 'none');
        return;
      }
      case 'reopen': {
        const crash = command.crash && harness.canCrash;
        if (crash) {
          this.#life++;
          this.#flights = [];
        }
        await harness.reopen({ crash });
        await this.#settle();
        const { committed } = await this.#log.offsets();
        if (definition.capabilities.durability === 'none') return oracle.lost(committed);
        await this.#readThrough(oracle, 50_000);
        return oracle.cut(committed);
      }
      case 'roll':
        return await this.#roll(oracle);
      case 'takeOver':
        return await this.#takeOver(oracle);
      default:
    }
  }

  /** As much as a segment holds, and more behind it: that lies in the next one. */
  async #roll(oracle: Oracle): Promise<void> {
    const { shard } = this.#trial;
    const { segment, maxMessageBytes } = shard.topic.settings;
    if (segment.bytes > maxMessageBytes >> 1) return;
    await this.#settle();
    const ends: number[] = [];
    for (const size of [segment.bytes, 0]) {
      const made = this.#make([{ records: 1, size, ms: 0 }]);
      await this.#credit(made);
      const call = oracle.called(made.parts);
      const { base, next } = await shard.append(made.batches);
      oracle.acknowledged(call, base, next);
      ends.push(base);
    }
    const { start } = await this.#log.offsets();
    // of what was lost and trimmed, rows may stay in front of the start
    const segments = (await shard.segments()).filter(
      ({ state, end }) => state !== 'DELETING' && state !== 'PREPARED' && (end === undefined || end > start),
    );
    for (const [i, { base, end }] of segments.entries()) {
      const behind = segments[i + 1];
      if (behind !== undefined)
        assert.equal(end, behind.base, `a segment from ${base} ends there, and the next one begins`);
    }
    const [filled, last] = ends.map((at) => segments.findLast(({ base }) => base <= at)?.id);
    assert.notEqual(filled, last, 'what comes behind a segment that is full lies in the next one');
  }

  /** The former owner goes on meanwhile: what it acknowledges is there, and once the next one serves it acknowledges nothing. */
  async #takeOver(oracle: Oracle): Promise<void> {
    const { harness } = this.#trial;
    if (harness.takeOver === undefined) return;
    // it may never be answered what it was asked for last
    this.#flights = [];
    this.#owner++;
    const former = await harness.takeOver();
    const { committed } = await this.#log.offsets();
    const made = this.#make([{ records: 1, size: 0, ms: 0 }]);
    const late = new Error('an append of a former owner was acknowledged after the next one had taken over');
    former.append(made.batches).then(
      () => this.#late.push(late),
      () => {},
    );
    oracle.failed(oracle.called(made.parts), 'none', false);
    await this.#readThrough(oracle, 50_000);
    oracle.cut(committed);
  }

  async #append(command: Command & { readonly do: 'append' }, oracle: Oracle): Promise<void> {
    const made = this.#make(command.batches);
    await this.#credit(made);
    const stopped = new AbortController();
    if (command.abort === 'before') stopped.abort();
    const call = oracle.called(made.parts);
    const options = command.abort === 'no' ? {} : { signal: stopped.signal };
    const life = this.#life;
    const owner = this.#owner;
    const judge = (look: () => void): void => {
      if (life !== this.#life) return;
      try {
        look();
      } catch (violation) {
        this.#late.push(violation);
      }
    };
    const flight = this.#log.append(made.batches, options).then(
      ({ base, next }) => judge(() => this.#acknowledged(oracle, call, command.abort, base, next)),
      (error: unknown) =>
        judge(() => {
          // a former owner may say so of anything
          if (owner === this.#owner) this.#failed(oracle, call, command.abort, error);
          else if (isStorageError(error)) oracle.failed(call, error.outcome, false);
        }),
    );
    this.#flights.push(flight);
    if (command.abort === 'after') stopped.abort();
    if (command.wait) await this.#settle();
  }

  #acknowledged(oracle: Oracle, call: Call, abort: string, base: number, next: number): void {
    assert.notEqual(abort, 'before', 'an append was taken though it had been given up');
    oracle.acknowledged(call, base, next);
  }

  #failed(oracle: Oracle, call: Call, abort: string, error: unknown): void {
    assert.ok(isStorageError(error), `an append failed with ${String(error)}`);
    const asked = (abort !== 'no' && error.code === 'ABORTED') || error.code === 'DISK_FULL';
    assert.ok(asked, `append ${call.index} failed: ${error.code} (${error.outcome}) ${error.message}`);
    oracle.failed(call, error.outcome, false);
  }

  async #committed(oracle: Oracle): Promise<number> {
    const { start, committed } = await this.#log.offsets();
    assert.ok(start <= oracle.start, `the log begins at ${start}, trimmed to ${oracle.start}`);
    oracle.checkCommitted(committed);
    return committed;
  }

  async #readThrough(oracle: Oracle, maxBytes: number): Promise<void> {
    const { committed } = await this.#log.offsets();
    for (let from = oracle.start; from < committed; ) {
      const read = await this.#log.read(from, maxBytes);
      oracle.checkRead(from, maxBytes, read, [committed, (await this.#log.offsets()).committed]);
      from = read.next;
    }
  }

  async #credit(made: Made): Promise<void> {
    for (let wait = this.#log.ready(made.bytes); wait !== undefined; wait = this.#log.ready(made.bytes)) await wait;
  }

  #make(batches: Parameters<typeof make>[0]): Made {
    const { maxMessageBytes } = this.#trial.shard.topic.settings;
    const made = make(batches, `${this.#tag}${this.#made++}`, 0, this.#bytes > MOST_BYTES ? 20_000 : maxMessageBytes);
    this.#bytes += made.bytes;
    return made;
  }

  async #settle(): Promise<void> {
    const flights = this.#flights;
    this.#flights = [];
    await Promise.all(flights);
  }
}
