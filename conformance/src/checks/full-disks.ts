import assert from 'node:assert/strict';
import {
  isStorageError,
  nodeFileSystem,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
  systemClock,
} from '@robustmq/core';
import { FaultPlan, faultyFileSystem, MemoryMeta } from '@robustmq/core/testing';
import { batchOfBytes, bodyOf, logOf, readAll } from '../batches.ts';
import { appendsDurably, type Check, durable, NotClaimed } from '../check.ts';
import { assertHolds, settled } from '../expect.ts';
import { withScratch } from '../faults/scratch.ts';
import { failEachStep } from '../faults-io/every-step.ts';
import { inTime } from '../faults-io/ledger.ts';
import { pause } from '../resources.ts';
import { open } from './segments.ts';

const BYTES = 256 * 1024;
/** More than an engine sets aside. */
const MOST_APPENDS = 1200;
/** None of which has made a step of I/O in `ctx.fs`: none will. */
const UNSEEN_APPENDS = 32;
/** How long it may take to notice that there is room: it may look from time to time only. */
const NOTICES_WITHIN_MS = 10_000;
const LOOKS_EVERY_MS = 20;
/** An append without an answer by then waits for room; if it was only slow, nothing is lost by that. */
const WAITS_FOR_MS = 500;

export const fullDiskChecks: readonly Check[] = [
  {
    id: 'SHARD-274',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'acknowledge nothing that a sync has lost for want of room',
    why: 'Where room is given out late (delayed allocation, quotas, network disks) a write is taken and the sync says that there is none. An engine that knows a full disk by its writes alone takes that for nothing.',
    timeoutMs: 180_000,
    claimed: durable,
    run: (trial) => failEachStep(trial, { how: 'forgotten', code: 'ENOSPC', of: ['sync'] }),
  },
  {
    id: 'SHARD-275',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise: 'refuse what a full disk has no room for with outcome none, and go on by itself when there is room again',
    why: 'Somebody frees space at three in the morning and expects that to be all. Stores that stayed read-only until each was told otherwise, or started again, made a second outage of it.',
    timeoutMs: 60_000,
    claimed: appendsDurably,
    async run({ harness }) {
      const { workshop } = harness;
      if (workshop === undefined) throw new NotClaimed('the harness has no workshop');
      await withScratch(async (dir) => {
        const plan = new FaultPlan();
        const fs = faultyFileSystem(nodeFileSystem, plan);
        const { instance, unlock } = await workshop.open({ dir, meta: new MemoryMeta(), fs });
        try {
          await fillTheDisk(instance.engine, plan);
        } finally {
          plan.budget(undefined);
          await inTime('close', instance.close());
          await unlock();
        }
      });
    },
  },
];

async function fillTheDisk(engine: StorageEngine, plan: FaultPlan): Promise<void> {
  const log = new Growing(await open(engine, { id: 'before' }));
  await log.append();
  plan.budget(0);
  const steps = plan.steps();
  const isSeen = (appends: number): boolean => appends < UNSEEN_APPENDS || plan.steps() > steps;
  let came: 'done' | 'waits' | StorageError = 'done';
  for (let i = 0; came === 'done' && i < MOST_APPENDS && isSeen(i); i++)
    came = await Promise.race([log.append(), waits()]);
  if (came === 'done' || isStorageError(came, 'SEGMENT_MUST_ROLL'))
    throw new NotClaimed('what it appends needs no room that ctx.fs would know of');
  // one that was taken before anybody knew may wait for room
  if (came !== 'waits') {
    assertFull(came);
    assertFull(await log.append());
  }

  plan.budget(undefined);
  await log.settled();
  const until = systemClock.monotonic() + NOTICES_WITHIN_MS;
  const again = async (what: () => Promise<unknown>): Promise<void> => {
    for (let result = await what(); result instanceof StorageError; result = await what()) {
      assertFull(result);
      assert.ok(systemClock.monotonic() < until, 'there has been room for long, and it says DISK_FULL');
      await pause(LOOKS_EVERY_MS);
    }
  };
  await again(() => log.append());
  await again(() => log.seal());
  const reader = await engine.openReader('before');
  assertHolds(await readAll(logOf(reader)), 0, log.bodies);
  await reader.close();
  await again(async () => {
    const created = await settled(inTime('create', open(engine, { id: 'after' })));
    return 'value' in created ? await new Growing(created.value).append() : created.error;
  });
}

/** A log with what was acknowledged of it. */
class Growing {
  readonly bodies: Buffer[] = [];
  readonly #writer: SegmentWriter;
  #last: Promise<unknown> = Promise.resolve();

  constructor(writer: SegmentWriter) {
    this.#writer = writer;
  }

  append(): Promise<'done' | StorageError> {
    const appended = this.#append();
    this.#last = appended;
    return appended;
  }

  /** What was called is answered. */
  async settled(): Promise<void> {
    await inTime('an append that waits for room that there is', this.#last);
  }

  async seal(): Promise<StorageError | undefined> {
    const sealed = await settled(inTime('seal', this.#writer.seal()));
    if ('error' in sealed) return sealed.error;
    assert.deepEqual(sealed.value, { end: this.bodies.length });
    return undefined;
  }

  async #append(): Promise<'done' | StorageError> {
    const bytes = batchOfBytes(BYTES, this.bodies.length);
    await this.#writer.ready(BYTES);
    const appended = await settled(this.#writer.append([bytes], { base: this.bodies.length }));
    if ('error' in appended) return appended.error;
    this.bodies.push(bodyOf(bytes));
    return 'done';
  }
}

function assertFull(came: 'done' | StorageError): void {
  assert.ok(came !== 'done', 'an append was taken behind one for which there was no room');
  assert.equal(came.code, 'DISK_FULL', came.message);
  assert.deepEqual([came.outcome, came.retryable], ['none', true], 'outcome and retryable of DISK_FULL');
}

async function waits(): Promise<'waits'> {
  await pause(WAITS_FOR_MS);
  return 'waits';
}
