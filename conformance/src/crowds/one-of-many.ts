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
import { eventually, pause } from '../resources.ts';

const CROWD = 200;
const ROUNDS = 8;
const BURST = 3;
const [FENCED, FAILED, SEALED, DELETED, READ] = [0, 1, 2, 3, 4];
const TROUBLED = 5;

/**
 * 200 segments, appended to at once; something happens to five of them in the middle of it. The one that fails does so by a file of its own; what lies in
 * files that all share can not fail for one alone, so there it is a copy that breaks off.
 */
export async function crowdOf200(trial: EngineTrial): Promise<void> {
  const { workshop } = trial.harness;
  if (workshop === undefined) {
    await run(trial.engine, () => async () => {});
    return trial.note({ crowdFault: COPY_ONLY });
  }
  const dir = await mkdtemp(join(tmpdir(), 'robust-many-'));
  const plan = new FaultPlan();
  try {
    const fs = faultyFileSystem(nodeFileSystem, plan);
    const { instance } = await workshop.open({ dir, meta: new MemoryMeta(), fs });
    try {
      await run(instance.engine, () => {
        const own = new RegExp(idOf(FAILED));
        const always = { code: 'EIO', times: Number.POSITIVE_INFINITY } as const;
        const writes = plan.fail('write', own, always);
        const syncs = plan.fail('sync', own, always);
        return async () => {
          const count = (): number => writes() + syncs();
          const hasOwn = plan.writtenBytes(own) > 0;
          const hits = hasOwn ? await eventually(count, (seen) => seen > 0) : count();
          plan.release();
          assert.ok(hits > 0 || !hasOwn, `${idOf(FAILED)} has a file of its own, and nothing of it could be failed`);
          trial.note({ crowdFault: hits > 0 ? 'a file of one segment, and a copy' : COPY_ONLY });
        };
      });
    } finally {
      plan.release();
      await instance.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const COPY_ONLY = 'a copy alone: no file is named by one segment';

/** `failOne` makes one of them fail, and gives back what ends that. */
async function run(engine: StorageEngine, failOne: () => () => Promise<void>): Promise<void> {
  const writers = await Promise.all(Array.from({ length: CROWD }, (_, i) => open(engine, { id: idOf(i), base: i })));
  const logs = writers.map((writer, i) => new Growing(writer, i));
  let heal = async (): Promise<void> => {};
  let halfway: () => void = () => {};
  const half = new Promise<void>((resolve) => {
    halfway = resolve;
  });
  const trouble = half.then(async () => {
    heal = failOne();
    await Promise.all([
      engine.recover(idOf(FENCED), { epoch: 2 }),
      settled(at(writers, FAILED).seal()),
      breakOff(engine),
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
  await heal();
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

/** A copy whose source fails in its middle. */
async function breakOff(engine: StorageEngine): Promise<void> {
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const base of [0, 1]) yield batch({ base, tag: 'copy', valueBytes: 3000 });
    throw new Error('the source of the copy is gone');
  }
  const options = { base: 0, end: 3, epoch: 1, state: new Uint8Array(0), uid: 'u' };
  await assert.rejects(engine.ingest('crowd-copy', options, source()), 'a copy whose source has failed was taken');
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
