/**
 * What must be true of a segment or a shard, known from what was called and answered and from nothing else. Each append is acknowledged,
 * certainly not applied, in flight, or in doubt (aborted, crashed, fenced). Every answer is held against that; what is in doubt
 * becomes certain when it is first seen, and may not change afterwards.
 */
import assert from 'node:assert/strict';
import { type Stored, stored } from '../batches.ts';
import type { Call, Part } from './call.ts';

export class Oracle {
  /** The first offset that can be read. */
  start: number;
  /** Everything below was acknowledged, or seen after a recovery. */
  certain: number;
  readonly #calls: Call[] = [];
  readonly #parts = new Map<string, { readonly call: Call; readonly part: Part; readonly delta: number }>();
  #committed: number;

  constructor(start: number) {
    this.start = start;
    this.certain = start;
    this.#committed = start;
  }

  /** One past what was called and may have been applied, as far as its place is known. */
  get next(): number {
    const last = this.#calls.findLast(({ fate, base }) => fate !== 'none' && base !== undefined);
    return last === undefined ? this.certain : Math.max(this.certain, endOf(last));
  }

  /** True when there are appends whose place is not known. */
  get unplaced(): boolean {
    return this.#calls.some(({ fate, base }) => fate !== 'none' && base === undefined);
  }

  /** True when something is in doubt: whether it was taken, or refused, nobody was told. */
  get doubtful(): boolean {
    return this.#calls.some(({ fate }) => fate === 'doubt');
  }

  /** Ends of appends from which a place inside the log can be chosen. */
  boundaries(): number[] {
    return [this.start, ...this.#placed().map(endOf)].filter((offset) => offset >= this.start);
  }

  called(parts: readonly Part[], base?: number): Call {
    const records = parts.reduce((sum, part) => sum + part.records, 0);
    const call: Call = { index: this.#calls.length, parts, records, fate: 'flight', base };
    let delta = 0;
    for (const part of parts) {
      this.#parts.set(keyOf(part.body), { call, part, delta });
      delta += part.records;
    }
    this.#calls.push(call);
    return call;
  }

  acknowledged(call: Call, base: number, next: number): void {
    assert.notEqual(call.fate, 'none', `append ${call.index} was acknowledged after it was certain not to be there`);
    assert.equal(next, base + call.records, `append ${call.index} of ${call.records} records at ${base} ends`);
    const before = this.#calls.find(({ index, fate }) => index < call.index && fate === 'flight');
    assert.equal(before, undefined, `append ${call.index} was acknowledged before append ${before?.index}`);
    this.#place(call, base);
    call.fate = 'acknowledged';
    this.certain = Math.max(this.certain, next);
  }

  /** `refused`: the writer goes on as if it had not been called, so what was called behind it has no place either. */
  failed(call: Call, outcome: 'none' | 'unknown', refused: boolean): void {
    if (outcome === 'unknown') {
      if (call.fate === 'flight') call.fate = 'doubt';
      return;
    }
    assert.notEqual(call.fate, 'acknowledged', `append ${call.index} failed with outcome none, and is there`);
    if (refused && call.base !== undefined)
      for (const behind of this.#calls) if (behind.index > call.index && behind.fate === 'flight') behind.fate = 'none';
    call.fate = 'none';
  }

  /** Everything has settled, and what was taken ends at `end`: what is in doubt behind it had been refused. */
  settled(end: number): void {
    for (const call of this.#calls) if (call.fate === 'doubt' && (call.base ?? 0) >= end) call.fate = 'none';
  }

  /** The log was recovered, and ends at `end`: what lies below is there, what does not will never be. */
  cut(end: number): void {
    assert.ok(end >= this.certain, `recovered to ${end}, acknowledged up to ${this.certain}`);
    this.checkBoundary(end, 'the end after recovery');
    for (const call of this.#calls)
      if (call.fate !== 'none') call.fate = call.base !== undefined && endOf(call) <= end ? 'acknowledged' : 'none';
    this.certain = end;
    this.#committed = end;
  }

  /** The medium is gone with all that it held, and the log goes on at `start`. */
  lost(start: number): void {
    assert.ok(start >= this.next, `offsets up to ${this.next} were given, it goes on at ${start}`);
    for (const call of this.#calls) call.fate = 'none';
    this.start = start;
    this.certain = start;
    this.#committed = start;
  }

  checkCommitted(committed: number): void {
    assert.ok(committed >= this.#committed, `committed went from ${this.#committed} to ${committed}`);
    assert.ok(committed >= this.certain, `committed is ${committed}, acknowledged up to ${this.certain}`);
    this.#committed = committed;
    if (!this.unplaced) this.checkBoundary(committed, 'committed');
  }

  checkBoundary(offset: number, what: string): void {
    if (offset === this.start || offset === this.certain) return;
    const inside = this.#placed().some((call) => endOf(call) === offset);
    assert.ok(inside, `${what} ${offset} is not where an append ends (${this.boundaries().join(', ')})`);
  }

  /** `before` and `after`: committed as it was when the read began, and when it had ended. */
  checkRead(
    from: number,
    maxBytes: number,
    read: { readonly bytes: Uint8Array; readonly next: number },
    [before, after]: readonly [number, number],
  ): void {
    const found = stored(read.bytes);
    let next = from;
    for (const [i, batch] of found.entries()) {
      if (i > 0) assert.equal(batch.base, next, `a read from ${from} skips or repeats`);
      else assert.ok(batch.base <= from && from < batch.next, `a read from ${from} begins at ${batch.base}`);
      this.#saw(batch);
      next = batch.next;
    }
    assert.equal(read.next, next, `a read from ${from} says where to go on`);
    assert.ok(next <= after, `a read from ${from} ends at ${next}, committed is ${after}`);
    assert.ok(found.length > 0 || from >= before, `a read from ${from} gives nothing, committed is ${before}`);
    assert.ok(
      found.length < 2 || read.bytes.length <= maxBytes,
      `${read.bytes.length} bytes were read, ${maxBytes} asked for`,
    );
  }

  /** The base of the first batch below `end` with a time at or after. */
  offsetForTime(time: number, end: number): number | undefined {
    for (const call of this.#placed()) {
      let base = call.base ?? 0;
      for (const part of call.parts) {
        if (part.time >= time && base >= this.start) return base + part.records <= end ? base : undefined;
        base += part.records;
      }
    }
    return undefined;
  }

  #saw(batch: Stored): void {
    const known = this.#parts.get(keyOf(batch.body));
    assert.ok(known !== undefined, `the batch at ${batch.base} was never appended, or has changed`);
    const { call, part, delta } = known;
    assert.ok(part.body.equals(batch.body), `the batch at ${batch.base} has changed`);
    assert.notEqual(call.fate, 'none', `append ${call.index} was certain not to be there, and is at ${batch.base}`);
    assert.equal(batch.next - batch.base, part.records, `records of the batch at ${batch.base}`);
    this.#place(call, batch.base - delta);
  }

  #place(call: Call, base: number): void {
    if (call.base !== undefined) assert.equal(base, call.base, `offset of append ${call.index}`);
    call.base = base;
    for (const other of this.#placed()) {
      if (other === call) continue;
      const [first, second] = other.index < call.index ? [other, call] : [call, other];
      assert.ok(
        endOf(first) <= (second.base ?? 0),
        `append ${first.index} ends at ${endOf(first)}, append ${second.index} behind it begins at ${second.base}`,
      );
    }
  }

  #placed(): Call[] {
    return this.#calls.filter(({ fate, base }) => fate !== 'none' && base !== undefined);
  }
}

function endOf(call: Call): number {
  return (call.base ?? 0) + call.records;
}

/** Its CRC and length: enough to find what it may be, before it is compared. */
function keyOf(body: Buffer): string {
  return `${body.length}/${body.readUInt32BE(1)}`;
}
