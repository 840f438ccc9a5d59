import { encodeBatch, type SegmentWriter, systemClock } from '@robustmq/core';
import { at, batch, NOON } from '../batches.ts';
import type { Stage } from './recording.ts';

/**
 * A little of everything that writes: segments with appends of many sizes side by side, a seal, an ingest, a deletion; then the process dies,
 * the next one recovers and goes on, is closed, and another one goes on after it.
 */
export function aLittleOfEverything(appends: boolean): (stage: Stage) => Promise<void> {
  return async (stage) => {
    const { actor } = stage;
    await stage.start();
    if (appends) {
      const a = await actor.create('a', { base: 0, epoch: 1 });
      const b = await actor.create('b', { base: 1000, epoch: 1 });
      await actor.append('a', a, [batch({ tag: 'first', base: 0 })]);
      const running: Promise<void>[] = [];
      for (const [i, valueBytes] of [10, 700, 5000, 300].entries()) {
        const { end: atA } = a.offsets();
        running.push(actor.append('a', a, run(`a${i}`, atA, 1 + (i % 3), valueBytes)));
        running.push(actor.append('b', b, run(`b${i}`, b.offsets().end, 2, 200)));
        if (i === 1) await Promise.all(running);
      }
      await Promise.all(running);
      await actor.seal('b', b);
      await actor.append('a', a, [batch({ tag: 'large', base: a.offsets().end, valueBytes: 80_000 })]);
    }
    await actor.ingest('c', { base: 50, end: 60, epoch: 1, uid: 'c-1' }, ingested('c', 50));
    if (appends) {
      const d = await actor.create('d', { base: 7, epoch: 1 });
      await actor.append('d', d, run('d', 7, 2, 100));
      await actor.delete('d');
      // on its way when the process dies, more often than not
      const a = await actor.create('a2', { base: 0, epoch: 1 });
      await actor.append('a2', a, run('a2', 0, 2, 3000));
    }
    await stage.abandon();

    await stage.start();
    if (appends) {
      const end = await actor.recover('a', 2);
      const e = await actor.create('e', { base: end, epoch: 2 });
      await Promise.all([0, 1, 2].map((i) => actor.append('e', e, run(`e${i}`, e.offsets().end, 1, 400 * i))));
      await actor.recover('a2', 2);
      // sealed before: only the epoch is news
      await actor.recover('b', 2);
    }
    await actor.delete('c');
    await actor.ingest('f', { base: 0, end: 10, epoch: 1, uid: 'f-1' }, ingested('f', 0));
    await stage.close();

    await stage.start();
    if (appends) {
      await actor.recover('e', 3);
      const g = await actor.create('g', { base: 5, epoch: 3 });
      await actor.append('g', g, run('g', 5, 2, 50));
      await actor.seal('g', g);
      await actor.delete('b');
    }
    await stage.close();
  };
}

/** Some appends one after the other, and at the end two at once with values of so many bytes; then the process dies. */
export function appendsToTheLast(valueBytes: number): (stage: Stage) => Promise<void> {
  return async ({ actor, start, abandon }) => {
    await start();
    const a = await actor.create('a', { base: 0, epoch: 1 });
    const b = await actor.create('b', { base: 100, epoch: 1 });
    await actor.append('a', a, run('a', 0, 2, 100));
    await actor.append('b', b, run('b', 100, 1, 300));
    const last = [run('last', a.offsets().end, 1, valueBytes), run('last', b.offsets().end, 1, valueBytes)] as const;
    await Promise.all([actor.append('a', a, last[0]), actor.append('b', b, last[1])]);
    await abandon();
  };
}

/** Segments that are all alike, sealed, and the engine closed. */
export function alikeAndSealed(count: number, appends: boolean): (stage: Stage) => Promise<void> {
  return async ({ actor, start, close }) => {
    await start();
    for (let i = 0; i < count; i++) {
      const id = `s${i}`;
      if (!appends || i === 0) await actor.ingest(id, { base: 50, end: 60, epoch: 1, uid: id }, ingested(id, 50, 300));
      else {
        const writer = await actor.create(id, { base: 50, epoch: 1 });
        for (let n = 0; n < 3; n++) await actor.append(id, writer, run(`${id}-${n}`, writer.offsets().end, 1, 60));
        await actor.seal(id, writer);
      }
    }
    // long enough to be read by an index; zeros are not worth a flip
    await actor.ingest('long', { base: 0, end: HOLLOW, epoch: 1, uid: 'long' }, hollow());
    await close();
  };
}

const HOLLOW = 6;

function hollow(): Uint8Array[] {
  return Array.from({ length: HOLLOW }, (_, i) =>
    at(i, encodeBatch([{ key: null, value: Buffer.alloc(70_000), headers: [], timestamp: NOON + i }])),
  );
}

/** Nothing is open, and then the process dies: what has been deleted is all that a log may tell of. */
export async function copiesComeAndGo({ actor, start, abandon }: Stage): Promise<void> {
  await start();
  for (const id of ['x', 'y']) await actor.ingest(id, { base: 50, end: 60, epoch: 1, uid: id }, ingested(id, 50));
  await actor.delete('x');
  await abandon();
}

/** Open segments whose appends were acknowledged one by one; after a moment of quiet the process dies. */
export async function openAndQuiet({ actor, start, abandon }: Stage): Promise<void> {
  await start();
  const ids = ['a', 'b', 'c'];
  const writers = new Map<string, SegmentWriter>();
  for (const id of ids) writers.set(id, await actor.create(id, { base: 20, epoch: 1 }));
  for (let n = 0; n < 3; n++)
    for (const [id, writer] of writers) await actor.append(id, writer, run(`${id}-${n}`, writer.offsets().end, 1, 60));
  // an engine marks the end of what is proven within 50 ms
  await new Promise<void>((resolve) => systemClock.timer(QUIET_MS, resolve));
  await abandon();
}

const QUIET_MS = 300;

/** Batches one behind the other, of one or two records. */
export function run(tag: string, base: number, count: number, valueBytes: number): Uint8Array[] {
  let next = base;
  return Array.from({ length: count }, (_, i) => {
    const records = 1 + (i % 2);
    const made = batch({
      tag: `${tag}-${i}`,
      base: next,
      records,
      valueBytes: valueBytes + 40,
      timestamps: [NOON + next],
    });
    next += records;
    return made;
  });
}

/** Ten offsets in three chunks. */
export function ingested(tag: string, base: number, valueBytes = 9000): Uint8Array[] {
  return [
    batch({ tag: `${tag}0`, base, records: 4, valueBytes: 100 }),
    batch({ tag: `${tag}1`, base: base + 4, records: 2, valueBytes }),
    batch({ tag: `${tag}2`, base: base + 6, records: 4, valueBytes: 40 }),
  ];
}
