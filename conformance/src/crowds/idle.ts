import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem, type SegmentWriter, type StorageEngine, systemClock } from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { durable, type EngineTrial } from '../check.ts';
import { open } from '../checks/segments.ts';
import { assertHolds } from '../expect.ts';
import { inTime } from '../faults-io/ledger.ts';
import { activeResources, CountedClock, eventually, heldBytes, openFiles } from '../resources.ts';

const CROWD = 10_000;
const AT_ONCE = 250;
/** An engine that is slow to create is shown with fewer, and the card says how many. */
const BOX_MS = 8000;
const LEAST = 500;
const CLOSES_WITHIN_MS = 60_000;
/** What each may cost: a writer with its wrapper, an index of one entry, a small buffer. */
const BYTES_EACH = 24 * 1024;
const BYTES_BESIDE = 64 * 1024 * 1024;
const TIMERS_BESIDE = 16;
const FILES_BESIDE = 4096;

/** Many segments, created, appended to once, and left alone. */
export async function idleCrowd(trial: EngineTrial): Promise<void> {
  const { workshop } = trial.harness;
  if (workshop === undefined) {
    const crowd = await gather(trial, trial.engine);
    return await rejoin(trial, trial.engine, crowd);
  }
  const dir = await mkdtemp(join(tmpdir(), 'robust-idle-'));
  const meta = new MemoryMeta();
  const clock = new CountedClock();
  try {
    const first = await workshop.open({ dir, meta, fs: nodeFileSystem, clock });
    let crowd: Crowd;
    try {
      crowd = await gather(trial, first.instance.engine, clock);
    } finally {
      await inTime('close', first.instance.close(), CLOSES_WITHIN_MS);
    }
    assert.equal(clock.timers, 0, 'timers that wait after close');
    if (!durable(trial.definition.capabilities, trial.harness)) return;
    const again = await workshop.open({ dir, meta });
    await rejoin(trial, again.instance.engine, crowd);
    await inTime('close', again.instance.close(), CLOSES_WITHIN_MS);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

interface Crowd {
  readonly ids: readonly string[];
  /** What each holds, of those that were looked at. */
  readonly held: ReadonlyMap<string, readonly Buffer[]>;
}

async function gather(trial: EngineTrial, engine: StorageEngine, clock?: CountedClock): Promise<Crowd> {
  const before = { files: openFiles(), bytes: heldBytes(), active: activeResources(), timers: clock?.timers ?? 0 };
  const writers: SegmentWriter[] = [];
  const until = systemClock.monotonic() + BOX_MS * trial.effort;
  while (writers.length < CROWD && (writers.length < LEAST || systemClock.monotonic() < until)) {
    const from = writers.length;
    const some = Array.from({ length: AT_ONCE }, async (_, i) => {
      const writer = await open(engine, { id: idOf(from + i), base: from + i });
      await writer.append([small(from + i)], { base: from + i });
      return writer;
    });
    writers.push(...(await Promise.all(some)));
  }
  const count = writers.length;
  trial.note({ idleSegments: count > FILES_BESIDE ? count : `${count}, too few to say anything of descriptors` });

  // a little later everything has come to rest
  const timers = await eventually(
    () => clock?.timers ?? 0,
    (now) => now <= before.timers + TIMERS_BESIDE,
  );
  assert.ok(timers <= before.timers + TIMERS_BESIDE, `${timers} timers wait for ${count} idle segments`);
  const beside = await eventually(
    () => [...activeResources()].filter(([kind, now]) => now > (before.active.get(kind) ?? 0) + TIMERS_BESIDE),
    ({ length }) => length === 0,
  );
  for (const [kind, now] of beside)
    assert.fail(
      `${now} of ${kind} keep the process alive with ${count} idle segments, ${before.active.get(kind) ?? 0} did before`,
    );
  const files = openFiles() ?? 0;
  assert.ok(files <= (before.files ?? 0) + FILES_BESIDE, `${files} files are open for ${count} idle segments`);
  const bytes = heldBytes() - before.bytes;
  const limit = BYTES_BESIDE + count * BYTES_EACH;
  assert.ok(
    bytes <= limit,
    `${count} idle segments hold ${bytes} bytes, ${Math.round(bytes / count)} each; the limit is ${limit}`,
  );

  // they are idle, not gone
  const held = new Map<string, Buffer[]>();
  for (let i = 0; i < 20; i++) {
    const n = Math.floor(trial.random.next() * count);
    const writer = writers[n];
    if (writer === undefined || held.has(idOf(n))) continue;
    const more = batch({ base: n + 1, tag: 'more' });
    assert.deepEqual(await writer.append([more], { base: n + 1 }), { next: n + 2 });
    const bodies = [bodyOf(small(n)), bodyOf(more)];
    assertHolds(await readAll(logOf(writer)), n, bodies);
    held.set(idOf(n), bodies);
  }
  return { ids: writers.map((_, i) => idOf(i)), held };
}

async function rejoin(trial: EngineTrial, engine: StorageEngine, { ids, held }: Crowd): Promise<void> {
  const listed: string[] = [];
  for (let page = ['']; page.length > 0; ) {
    const after = listed.at(-1);
    page = await engine.list({ prefix: 'idle-', limit: 1000, ...(after === undefined ? {} : { after }) });
    listed.push(...page);
  }
  assert.deepEqual(listed, ids, 'all of them are in the list');
  if (!durable(trial.definition.capabilities, trial.harness)) return;
  for (const [id, bodies] of held) {
    const base = Number(id.slice('idle-'.length));
    assert.deepEqual(await engine.recover(id, { epoch: 2 }), { end: base + bodies.length });
    const reader = await engine.openReader(id);
    assertHolds(await readAll(logOf(reader)), base, bodies);
    await reader.close();
  }
}

function small(n: number): Uint8Array {
  return batch({ base: n, tag: `idle-${n}` });
}

function idOf(n: number): string {
  return `idle-${String(n).padStart(5, '0')}`;
}
