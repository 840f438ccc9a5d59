import assert from 'node:assert/strict';
import type { SegmentWriter, StorageEngine } from '@robustmq/core';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import type { EngineTrial } from '../check.ts';
import { NotClaimed } from '../check.ts';
import { chunks, open } from '../checks/segments.ts';
import { assertHolds } from '../expect.ts';
import { pause } from '../resources.ts';
import { placeOf } from './every-step.ts';
import { inTime } from './ledger.ts';
import type { Place } from './place.ts';

const LATE_BY_MS = 10;
/** After a step is seen to be held: whoever settles without it does so at once. */
const SETTLES_WITHIN_MS = 60;
const LOOKS_FOR_MS = 2000;

/** Every `every`-th step is answered late: nothing fails, so everything comes out well, in order, and as it should be seen. */
export async function answerLate(trial: EngineTrial, every: number): Promise<void> {
  const place = placeOf(trial, every);
  try {
    const engine = await inTime('open', place.open());
    const late = place.arm(1, { how: 'late', every, forMs: LATE_BY_MS });
    const writers = await Promise.all(
      ['a', 'b', 'c'].map((name) => inTime('create', open(engine, { id: `${place.prefix}${name}`, base: 5 }))),
    );
    const bodies = await Promise.all(writers.map((writer, i) => writeSlowly(writer, `${i}`)));
    const sealed = await Promise.all(writers.map((writer) => inTime('seal', writer.seal())));
    assert.deepEqual(
      sealed.map(({ end }) => end),
      bodies.map(({ length }) => 5 + length),
    );
    await inTime('ingest', ingest(engine, `${place.prefix}in`));
    if (late() === 0) throw new NotClaimed('nothing of this goes through ctx.fs or a link');
    await inTime('close', engine.close());
    place.heal();
    const again = await inTime('open', place.reopen(false));
    for (const [i, name] of ['a', 'b', 'c'].entries()) {
      const reader = await again.openReader(`${place.prefix}${name}`);
      assertHolds(await readAll(logOf(reader)), 5, bodies[i] ?? []);
      await reader.close();
    }
    await inTime('close', again.close());
  } finally {
    await place.dispose();
  }
}

/** Appends in bursts, and looks at the log whenever one has settled. */
async function writeSlowly(writer: SegmentWriter, tag: string): Promise<Buffer[]> {
  const bodies: Buffer[] = [];
  const settled: number[] = [];
  for (let round = 0; round < 3; round++) {
    const base = 5 + bodies.length;
    const made = [0, 1, 2].map((i) => batch({ base: base + i, tag: `${tag}-${base + i}`, valueBytes: 200 }));
    bodies.push(...made.map(bodyOf));
    const look = async (at: number, next: number): Promise<void> => {
      settled.push(at);
      const { committed } = writer.offsets();
      assert.equal(next, at + 1);
      assert.ok(committed >= next, `the append at ${at} has settled, and committed is ${committed}`);
      const found = await readAll(logOf(writer));
      // more may have been committed while it read
      assert.ok(found.length >= committed - 5, `${found.length} batches are read, committed is ${committed}`);
      assertHolds(found, 5, bodies.slice(0, found.length));
    };
    await Promise.all(
      made.map(async (bytes, i) => {
        const at = base + i;
        const { next } = await inTime('append', writer.append([bytes], { base: at }));
        await look(at, next);
      }),
    );
  }
  assert.deepEqual(
    settled,
    [...settled].sort((one, other) => one - other),
    'appends settle in the order of their calls',
  );
  return bodies;
}

/**
 * While all that would make something durable is held, nothing may settle that must be durable then; when it goes on, all does. What does
 * no I/O that could be held is not looked at.
 */
export async function holdDurableSteps(trial: EngineTrial): Promise<void> {
  const place = placeOf(trial, 0);
  try {
    const engine = await inTime('open', place.open());
    const id = (name: string): string => `${place.prefix}${name}`;
    const [one, two] = [await open(engine, { id: id('one') }), await open(engine, { id: id('two') })];
    const first = batch({ base: 0 });
    await inTime('append', one.append([first], { base: 0 }));
    await inTime('append', two.append([first], { base: 0 }));
    const held = [
      await heldBack(
        place,
        'an append',
        async () => {
          await one.append([batch({ base: 1 })], { base: 1 });
        },
        () => assert.equal(one.offsets().committed, 1, 'an append is committed before it is durable'),
      ),
      await crowdHeldBack(place, one),
      await heldBack(place, 'create', () => open(engine, { id: id('three') })),
      await heldBack(place, 'ingest', () => ingest(engine, id('in'))),
      await heldBack(place, 'seal', () => one.seal()),
      await heldBack(place, 'recover', () => engine.recover(id('two'), { epoch: 2 })),
    ];
    await inTime('close', engine.close());
    if (!held.includes(true)) throw new NotClaimed('nothing of this goes through ctx.fs or a link');
  } finally {
    place.heal();
    await place.dispose();
  }
}

/** @returns false when it did without any step that can be held */
async function heldBack(
  place: Place,
  what: string,
  call: () => Promise<unknown>,
  look: () => void = () => {},
): Promise<boolean> {
  const before = place.steps();
  const hits = place.arm(1, { how: 'held', of: ['durable'], every: 1 });
  let settled = false;
  const calling = call().finally(() => {
    settled = true;
  });
  calling.catch(() => {});
  for (let waited = 0; hits() === 0 && !settled && waited < LOOKS_FOR_MS; waited += 5) await pause(5);
  if (!settled) await pause(SETTLES_WITHIN_MS);
  const early = settled && place.steps() > before;
  if (!settled) look();
  place.heal();
  await inTime(what, calling);
  assert.ok(!early, `${what} settled though no sync, and no synchronous write, had been done`);
  return hits() > 0;
}

/**
 * Appends that come while a sync is under way share the next one. That group is as large as load makes it, and is held as well: an engine may sync
 * small groups and forget it for large ones. @returns false when an append did without any step that can be held
 */
async function crowdHeldBack(place: Place, writer: SegmentWriter): Promise<boolean> {
  const { end } = writer.offsets();
  const first = place.arm(1, { how: 'held', of: ['durable'], every: 1 });
  let settled = 0;
  const append = async (base: number): Promise<void> => {
    await writer.append([batch({ base })], { base });
    settled++;
  };
  const ahead = append(end);
  ahead.catch(() => {});
  const waitFor = async (hits: () => number, before: number): Promise<void> => {
    for (let waited = 0; hits() === 0 && settled <= before && waited < LOOKS_FOR_MS; waited += 5) await pause(5);
  };
  await waitFor(first, 0);
  const crowd = Promise.all(Array.from({ length: CROWD }, (_, i) => append(end + 1 + i)));
  crowd.catch(() => {});
  place.heal();
  const second = place.arm(1, { how: 'held', of: ['durable'], every: 1 });
  // the one ahead may settle now; nobody behind it
  await waitFor(second, 1);
  await pause(SETTLES_WITHIN_MS);
  const early = first() > 0 ? settled - 1 : 0;
  place.heal();
  await inTime('appends', Promise.all([ahead, crowd]));
  assert.ok(early <= 0, `${early} of ${CROWD} appends at once settled though no sync behind them had been done`);
  return first() > 0;
}

/** More than waits for one sync in any other check. */
const CROWD = 256;

function ingest(engine: StorageEngine, id: string): Promise<unknown> {
  const made = [0, 1, 2].map((base) => batch({ base, valueBytes: 300 }));
  return engine.ingest(id, { base: 0, end: 3, epoch: 1, state: new Uint8Array(0), uid: 'u' }, chunks(...made));
}
