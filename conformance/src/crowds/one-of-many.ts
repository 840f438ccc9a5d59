import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem, type SegmentWriter, type StorageEngine } from '@robustmq/core';
import { FaultPlan, faultyFileSystem, MemoryMeta } from '@robustmq/core/testing';
import { batch, bodyOf, logOf, readAll, stored } from '../batches.ts';
import type { EngineTrial } from '../check.ts';
import { open } from '../checks/segments.ts';
import { assertHolds, settled } from '../expect.ts';
import { pause } from '../resources.ts';

const CROWD = 200;
const ROUNDS = 8;
const BURST = 3;
const [FENCED, FAILED, SEALED, DELETED, READ] = [0, 1, 2, 3, 4];
const TROUBLED = 5;

/** 200 segments, appended to at once; something happens to five of them in the middle of it. */
export async function crowdOf200(trial: EngineTrial): Promise<void> {
  const { workshop } = trial.harness;
  if (workshop === undefined) return await run(trial.engine, () => () => {});
  const dir = await mkdtemp(join(tmpdir(), 'robust-crowd-'));
  const plan = new FaultPlan();
  try {
    const fs = faultyFileSystem(nodeFileSystem, plan);
    const { instance } = await workshop.open({ dir, meta: new MemoryMeta(), fs });
    try {
      await run(instance.engine, () => {
        // where it has files of its own; one that shares them has the other checks of failing steps
        const always = { code: 'EIO', times: Number.POSITIVE_INFINITY } as const;
        plan.fail('write', new RegExp(idOf(FAILED)), always);
        plan.fail('sync', new RegExp(idOf(FAILED)), always);
        return () => plan.release();
      });
    } finally {
      plan.release();
      await instance.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** `failOne` makes one of them fail, and gives back what ends that. */
async function run(engine: StorageEngine, failOne: () => () => void): Promise<void> {
  const writers = await Promise.all(Array.from({ length: CROWD }, (_, i) => open(engine, { id: idOf(i), base: i })));
  const logs = writers.map((writer, i) => new Growing(writer, i));
  let heal: () => void = () => {};
  let halfway: () => void = () => {};
  const half = new Promise<void>((resolve) => {
    halfway = resolve;
  });
  const trouble = half.then(async () => {
    heal = failOne();
    await Promise.all([
      engine.recover(idOf(FENCED), { epoch: 2 }),
      settled(at(writers, FAILED).seal()),
      at(writers, SEALED).seal(),
      engine.delete(idOf(DELETED)),
      readSlowly(at(writers, READ)),
    ]);
  });
  trouble.catch(() => {});
  for (let round = 0; round < ROUNDS; round++) {
    if (round === ROUNDS >> 1) halfway();
    await Promise.all(logs.map((log, i) => log.burst(i < TROUBLED && i !== READ)));
  }
  await trouble;
  // what happened to the five has not reached the others
  for (const log of logs.slice(TROUBLED - 1)) await log.assertExact(ROUNDS * BURST);
  for (const log of logs.slice(-10)) await log.assertGoesOn(engine);
  // and of the five, each holds what it has acknowledged
  await logs[FENCED]?.assertHeld(engine);
  await logs[SEALED]?.assertHeld(engine);
  heal();
  await engine.recover(idOf(FAILED), { epoch: 2 });
  await logs[FAILED]?.assertHeld(engine);
  assert.ok(
    !(await engine.list({ prefix: idOf(DELETED), limit: 1 })).includes(idOf(DELETED)),
    'the deleted one is gone',
  );
}

/** One segment, with what was acknowledged of it. */
class Growing {
  readonly #writer: SegmentWriter;
  readonly #number: number;
  readonly #bodies: Buffer[] = [];
  #over = false;

  constructor(writer: SegmentWriter, number: number) {
    this.#writer = writer;
    this.#number = number;
  }

  /** Appends that all come out well, unless something may have happened to the segment. */
  async burst(mayFail: boolean): Promise<void> {
    if (this.#over) return;
    const base = this.#number + this.#bodies.length;
    const made = Array.from({ length: BURST }, (_, i) =>
      batch({
        base: base + i,
        tag: `${idOf(this.#number)}-${base + i}`,
        // enough for an engine that gathers before it writes to a file of the segment
        valueBytes: this.#number === FAILED ? 400_000 : 50 + ((this.#number * 31 + base + i) % 400),
      }),
    );
    const all = await Promise.all(
      made.map((bytes, i) =>
        settled(this.#writer.append([bytes], { base: base + i }).then(({ next }) => ({ next, bytes }))),
      ),
    );
    for (const [i, result] of all.entries()) {
      if ('value' in result) {
        assert.equal(result.value.next, base + i + 1);
        assert.ok(!this.#over, `${idOf(this.#number)}: the append at ${base + i} settled well behind one that failed`);
        this.#bodies.push(bodyOf(result.value.bytes));
      } else {
        assert.ok(mayFail, `nothing happened to ${idOf(this.#number)}, and its append failed: ${result.error.message}`);
        this.#over = true;
      }
    }
  }

  async assertExact(count: number): Promise<void> {
    assert.equal(this.#bodies.length, count);
    const end = this.#number + count;
    assert.deepEqual(this.#writer.offsets(), { base: this.#number, committed: end, end, sealed: false });
    assertHolds(await readAll(logOf(this.#writer)), this.#number, this.#bodies);
  }

  async assertGoesOn(engine: StorageEngine): Promise<void> {
    await this.burst(false);
    assert.deepEqual(await this.#writer.seal(), { end: this.#number + this.#bodies.length });
    await this.assertHeld(engine);
  }

  /** Sealed, by whomever: what was acknowledged comes first, whole appends that were not may follow. */
  async assertHeld(engine: StorageEngine): Promise<void> {
    const reader = await engine.openReader(idOf(this.#number));
    const found = await readAll(logOf(reader));
    assertHolds(found.slice(0, this.#bodies.length), this.#number, this.#bodies);
    await reader.close();
  }
}

async function readSlowly(writer: SegmentWriter): Promise<void> {
  const { base } = writer.offsets();
  for (let from = base, i = 0; i < 10; i++) {
    const { bytes, next } = await writer.read(from, { maxBytes: 1 });
    for (const one of stored(bytes)) assert.equal(one.base, from);
    from = next;
    await pause(5);
  }
}

function at(writers: readonly SegmentWriter[], i: number): SegmentWriter {
  const writer = writers[i];
  if (writer === undefined) throw new Error(`no segment ${i}`);
  return writer;
}

function idOf(i: number): string {
  return `crowd-${String(i).padStart(3, '0')}`;
}
