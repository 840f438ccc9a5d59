import assert from 'node:assert/strict';
import { headerDigest, type IngestResult, type SegmentWriter, type StorageEngine } from '@robustmq/core';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { chunks, open } from '../checks/segments.ts';
import { assertHolds } from '../expect.ts';
import { assertKept, attemptOf, type Came, gone, inTime, isFailure, outcomeOf, type Page } from './ledger.ts';

/**
 * A little of everything an engine does, on a few segments at once, with a record of what came of each call; and afterwards, when nothing
 * goes wrong any more and the engine was opened again, whether what it holds agrees with that record.
 */
export class Workload {
  readonly #prefix: string;
  readonly #appends: boolean;
  readonly #busy: Page;
  readonly #open: Page;
  readonly #dropped: Page;
  /** Made while a read fails. */
  readonly #late: Page;
  #taken: Came = 'unknown';
  #verified = 0;

  constructor(prefix: string, appends: boolean) {
    this.#prefix = prefix;
    this.#appends = appends;
    this.#busy = page(`${prefix}busy`, 0);
    this.#open = page(`${prefix}open`, 100);
    this.#dropped = page(`${prefix}dropped`, 7);
    this.#late = page(`${prefix}late`, 500);
  }

  /** With a record of its own, the same so far. */
  copy(): Workload {
    const copy = new Workload(this.#prefix, this.#appends);
    for (const [from, to] of [
      [this.#busy, copy.#busy],
      [this.#open, copy.#open],
      [this.#dropped, copy.#dropped],
    ] as const) {
      Object.assign(to, from);
      to.attempts = from.attempts.map((attempt) => ({ ...attempt }));
    }
    copy.#taken = this.#taken;
    return copy;
  }

  async run(engine: StorageEngine): Promise<void> {
    const taken = this.#ingest(engine);
    if (this.#appends) await Promise.all([taken, this.#seals(engine), this.#stays(engine), this.#goes(engine)]);
    else await taken;
  }

  /** True after a run in which every call came out well. */
  get isDone(): boolean {
    if (this.#taken !== 'done' || !this.#appends) return this.#taken === 'done';
    const logs = [this.#busy, this.#open, this.#dropped];
    const done = logs.every(({ created, attempts }) => [created, ...attempts.map(({ came }) => came)].every(isDone));
    return done && this.#dropped.deleted === 'done';
  }

  /** The instance that it ran on goes on, and all of its I/O works: what is written now is there at once, and is not what was written before. */
  async goOn(engine: StorageEngine): Promise<void> {
    if (this.#appends) await this.#goesOn(engine);
    if (this.#taken === 'done') await whole('read what was ingested', assertTaken(engine, `${this.#prefix}taken`));
  }

  /** `engine` was opened anew, and some of its reads fail: what it answers is right, and whatever it can not answer fails as a failed step does. */
  async ask(engine: StorageEngine): Promise<void> {
    const listed = await outcomeOf('list', engine.list({ prefix: this.#prefix, limit: 100 }));
    if (listed.came === 'done') this.#assertListed(listed.value);
    if (this.#appends) {
      await askForLog(engine, this.#busy);
      await askForLog(engine, this.#open);
      await this.#goesOn(engine);
    }
    await whole('read what was ingested', assertTaken(engine, `${this.#prefix}taken`));
    // where it was read that there is nothing, the same attempt would be another one
    await outcomeOf('ingest', this.#take(engine));
  }

  /** `engine` was opened anew, and all of its I/O works. Another time finds the same. */
  async verify(engine: StorageEngine): Promise<void> {
    const listed = await inTime('list', engine.list({ prefix: this.#prefix, limit: 100 }));
    if (this.#appends) {
      await this.#verifyLog(engine, this.#busy, listed);
      await this.#verifyLog(engine, this.#open, listed);
      await this.#verifyDropped(engine, listed);
      if (this.#late.asked === true) await this.#verifyLog(engine, this.#late, listed);
      await this.#verifyUsable(engine);
    }
    await this.#verifyTaken(engine, listed);
    this.#verified++;
  }

  async #seals(engine: StorageEngine): Promise<void> {
    const writer = await create(engine, this.#busy);
    if (writer === undefined) return;
    await burst(writer, this.#busy, [1, 2, 1]);
    await outcomeOf('flush', writer.flush());
    await burst(writer, this.#busy, [1, 3]);
    const sealed = await outcomeOf('seal', writer.seal());
    if (sealed.came === 'done') this.#busy.end = sealed.value.end;
    else await goOn(engine, this.#busy);
  }

  async #stays(engine: StorageEngine): Promise<void> {
    const writer = await create(engine, this.#open);
    if (writer === undefined) return;
    await burst(writer, this.#open, [2, 1]);
    await burst(writer, this.#open, [1]);
    await burst(writer, this.#open, [1]);
  }

  async #goes(engine: StorageEngine): Promise<void> {
    const writer = await create(engine, this.#dropped);
    if (writer === undefined) return;
    await burst(writer, this.#dropped, [1]);
    this.#dropped.deleted = (await outcomeOf('delete', engine.delete(this.#dropped.id))).came;
  }

  /** A segment that is written and read at once, while a read fails. */
  async #goesOn(engine: StorageEngine): Promise<void> {
    this.#late.asked = true;
    const writer = await create(engine, this.#late);
    if (writer === undefined) return;
    await burst(writer, this.#late, [1, 2]);
    if (this.#late.attempts.some(({ came }) => came !== 'done')) return;
    const read = await outcomeOf('read', readAll(logOf(writer)));
    if (read.came !== 'done') return;
    assertHolds(
      read.value,
      this.#late.base,
      this.#late.attempts.flatMap(({ bodies }) => bodies),
    );
  }

  #assertListed(listed: readonly string[]): void {
    const of = (...names: string[]): string[] => names.map((name) => `${this.#prefix}${name}`);
    assert.deepEqual(listed, this.#appends ? of('busy', 'open', 'taken') : of('taken'), 'the list');
  }

  async #ingest(engine: StorageEngine): Promise<void> {
    this.#taken = (await outcomeOf('ingest', this.#take(engine))).came;
  }

  async #take(engine: StorageEngine): Promise<IngestResult> {
    const made = TAKEN();
    const options = { base: 50, end: 60, epoch: 1, state: STATE, uid: 'u-1' };
    return await engine.ingest(
      `${this.#prefix}taken`,
      options,
      chunks(Buffer.concat(made.slice(0, 2)), ...made.slice(2)),
    );
  }

  async #verifyLog(engine: StorageEngine, log: Page, listed: readonly string[]): Promise<void> {
    const { id, created } = log;
    if (created === 'done') assert.ok(listed.includes(id), `${id} is in the list: its creation was acknowledged`);
    if (created === 'none') assert.ok(!listed.includes(id), `${id} is not in the list: it was certainly not created`);
    try {
      if (log.end === undefined) log.end = (await inTime('recover', engine.recover(id, { epoch: 9 }))).end;
      log.created = 'done';
      const reader = await inTime('open a reader', engine.openReader(id));
      await assertKept(log, reader);
      await reader.close();
    } catch (error) {
      if (created === 'done' || !gone(error)) throw error;
    }
  }

  async #verifyDropped(engine: StorageEngine, listed: readonly string[]): Promise<void> {
    const { id, deleted } = this.#dropped;
    if (deleted === 'done') assert.ok(!listed.includes(id), `${id} is not in the list: its deletion was acknowledged`);
    await inTime('delete', engine.delete(id));
    const after = await inTime('list', engine.list({ prefix: this.#prefix, limit: 100 }));
    assert.ok(!after.includes(id), `${id} is gone after another delete`);
    this.#dropped.deleted = 'done';
  }

  async #verifyTaken(engine: StorageEngine, listed: readonly string[]): Promise<void> {
    const id = `${this.#prefix}taken`;
    if (this.#taken === 'done') assert.ok(listed.includes(id), `${id} is in the list: its ingest was acknowledged`);
    if (this.#taken === 'none') assert.ok(!listed.includes(id), `${id} is not in the list: it was certainly not taken`);
    if (listed.includes(id)) await assertTaken(engine, id);
    // the same attempt again: whether it was applied or not, it comes to the same
    const result = await inTime('ingest', this.#take(engine));
    const made = TAKEN();
    assert.deepEqual(result, {
      bytes: made.reduce((sum, { length }) => sum + length, 0),
      crc: made.reduce((crc, bytes) => headerDigest(crc, bytes), 0),
    });
    await assertTaken(engine, id);
    this.#taken = 'done';
  }

  async #verifyUsable(engine: StorageEngine): Promise<void> {
    const again = page(`${this.#prefix}again${this.#verified || ''}`, 1000);
    const writer = await create(engine, again);
    assert.ok(writer !== undefined, 'a segment can be created again');
    await burst(writer, again, [1, 2]);
    again.end = (await inTime('seal', writer.seal())).end;
    const reader = await inTime('open a reader', engine.openReader(again.id));
    assert.ok(
      again.attempts.every(({ came }) => came === 'done'),
      'appends are taken again',
    );
    await assertKept(again, reader);
    await reader.close();
  }
}

const STATE = new Uint8Array([5, 0, 255]);
const TAKEN = (): Uint8Array[] =>
  [50, 52, 54, 56, 58].map((base) => batch({ base, records: 2, tag: `in${base}`, valueBytes: 300 }));

function isDone(came: Page['attempts'][number]['came']): boolean {
  return came === 'done';
}

function page(id: string, base: number): Page {
  return { id, base, state: STATE, created: 'unknown', attempts: [] };
}

async function create(engine: StorageEngine, log: Page): Promise<SegmentWriter | undefined> {
  const created = await outcomeOf('create', open(engine, { id: log.id, base: log.base, state: STATE }));
  log.created = created.came;
  return created.came === 'done' ? created.value : undefined;
}

/** Appends of so many batches each, dispatched without waiting for each other; a failed writer takes no more. */
async function burst(writer: SegmentWriter, log: Page, counts: readonly number[]): Promise<void> {
  let base = endOf(log);
  const settled: Promise<void>[] = [];
  for (const count of counts) {
    const made = Array.from({ length: count }, (_, i) =>
      batch({ base: base + 2 * i, records: 2, tag: `${log.id}-${base + i}-${log.attempts.length}`, valueBytes: 90 }),
    );
    const attempt = attemptOf(base, base + 2 * count, made);
    log.attempts.push(attempt);
    // behind a refused one the next has no place
    const call = outcomeOf('append', writer.append(made, { base }), ['OFFSET_MISMATCH']);
    settled.push(
      call.then(({ came }) => {
        attempt.came = came;
      }),
    );
    base = attempt.next;
  }
  await Promise.all(settled);
  for (const [i, failed] of log.attempts.entries()) {
    const behind = log.attempts.slice(i + 1);
    for (const [j, later] of behind.entries())
      assert.ok(
        // what was certainly not applied may be dispatched again, and what comes behind it then is in its place
        failed.came === 'done' ||
          later.came !== 'done' ||
          (failed.came === 'none' && isFilled(failed, behind.slice(0, j + 1))),
        `${log.id}: the append at ${later.base} was acknowledged behind the one at ${failed.base}, which failed`,
      );
  }
}

function isFilled({ base }: Page['attempts'][number], by: Page['attempts']): boolean {
  return by.some((attempt) => attempt.came === 'done' && attempt.base <= base);
}

/** What a next append may be based on: behind everything that was not certainly refused. */
function endOf({ base, attempts }: Page): number {
  return attempts.reduce((end, { next, came }) => (came === 'none' ? end : Math.max(end, next)), base);
}

/** A call that asserts as it goes: what is wrong is wrong, what fails as a failed step does is not. */
async function whole(what: string, call: Promise<void>): Promise<void> {
  try {
    await inTime(what, call);
  } catch (error) {
    if (!isFailure(error)) throw error;
  }
}

async function askForLog(engine: StorageEngine, log: Page): Promise<void> {
  if (log.end === undefined) {
    const recovered = await outcomeOf(`recover ${log.id}`, engine.recover(log.id, { epoch: 2 }));
    if (recovered.came !== 'done') return;
    log.end = recovered.value.end;
  }
  const opened = await outcomeOf(`open a reader of ${log.id}`, engine.openReader(log.id));
  if (opened.came !== 'done') return;
  await whole(`read ${log.id}`, assertKept(log, opened.value));
  await outcomeOf('close a reader', opened.value.close());
}

/** As core does when a writer has failed. */
async function goOn(engine: StorageEngine, log: Page): Promise<void> {
  const recovered = await outcomeOf('recover', engine.recover(log.id, { epoch: 2 }));
  if (recovered.came === 'done') log.end = recovered.value.end;
}

async function assertTaken(engine: StorageEngine, id: string): Promise<void> {
  const reader = await inTime('open a reader', engine.openReader(id));
  assert.deepEqual(reader.offsets(), { base: 50, committed: 60, end: 60, sealed: true });
  assertHolds(await readAll(logOf(reader)), 50, TAKEN().map(bodyOf));
  await reader.close();
}
