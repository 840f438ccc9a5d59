import type { SegmentWriter, StorageEngine } from '@robustmq/core';
import { expect, test, vi } from 'vitest';
import { batch } from './batches.ts';
import { coded, MemoryDisk } from './memory-disk.ts';
import { openInMemory } from './memory-engine.ts';

vi.mock('../src/wal/wal-worker.ts', () => import('./inline-wal-worker.ts'));

/** In a file of its own. */
const STATE = Buffer.alloc(700, 3);
const CONFIG = { writeBackBytes: 4096, checkpointBytes: 16_384 };

/** What was acknowledged of a segment. */
interface Acked {
  readonly payloadBytes: number;
  end: number;
  epoch: number;
  isSealed: boolean;
  /** `undefined`: that was asked for, and nobody knows. */
  isDeleted: boolean | undefined;
}

/** A life of several segments, which goes on as well as it can whatever fails. */
async function live(engine: StorageEngine): Promise<Map<string, Acked>> {
  const all = new Map<string, Acked>();
  const fill = async (id: string, count: number, payloadBytes: number): Promise<SegmentWriter | undefined> => {
    const writer = await engine.create(id, { base: 0, epoch: 1, config: {}, state: STATE }).catch(refusal);
    if (writer === undefined) return undefined;
    const acked: Acked = { payloadBytes, end: 0, epoch: 1, isSealed: false, isDeleted: false };
    all.set(id, acked);
    for (let i = 0; i < count; i++) {
      const base = acked.end;
      const appended = await writer.append([batch(base, payloadBytes)], { base }).catch(refusal);
      if (appended !== undefined) acked.end = appended.next;
    }
    return writer;
  };
  const recover = async (id: string, epoch: number): Promise<void> => {
    const recovered = await engine.recover(id, { epoch }).catch(refusal);
    const acked = all.get(id);
    if (recovered !== undefined && acked !== undefined) Object.assign(acked, { epoch, isSealed: true });
  };
  await fill('a', 6, 1000);
  const b = await fill('b', 3, 3000);
  if ((await b?.seal().catch(refusal)) !== undefined) Object.assign(all.get('b') ?? {}, { isSealed: true });
  await fill('c', 2, 5000);
  const c = all.get('c');
  if (c !== undefined) {
    c.isDeleted = undefined;
    await engine.delete('c').then(() => {
      c.isDeleted = true;
    }, refusal);
  }
  await fill('d', 2, 200);
  await recover('d', 4);
  await fill('e', 4, 9000);
  await recover('b', 6);
  await fill('f', 3, 9000);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  return all;
}

function refusal(error: unknown): undefined {
  if ((error as { code?: unknown }).code === undefined) throw error;
  return undefined;
}

async function expectAllOf(all: ReadonlyMap<string, Acked>, disk: MemoryDisk, when: string): Promise<void> {
  const { engine } = await openInMemory(disk, { config: CONFIG });
  for (const [id, { payloadBytes, end, epoch, isSealed, isDeleted }] of all) {
    const what = `${id}, ${when}`;
    if (isDeleted === undefined) continue;
    if (isDeleted) {
      await expect(engine.openReader(id), what).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
      continue;
    }
    if (isSealed) expect((await engine.openReader(id)).offsets().sealed, what).toBe(true);
    if (epoch > 1)
      await expect(engine.recover(id, { epoch: epoch - 1 }), what).rejects.toMatchObject({ code: 'FENCED' });
    const found = await engine.recover(id, { epoch: 9 });
    expect(found.end, what).toBeGreaterThanOrEqual(end);
    const reader = await engine.openReader(id);
    const expected = Buffer.concat(Array.from({ length: found.end }, (_, base) => batch(base, payloadBytes)));
    expect(expected.equals((await reader.read(0, { maxBytes: 1 << 24 })).bytes), what).toBe(true);
    expect(STATE.equals(await reader.state()), what).toBe(true);
  }
  await engine.close();
  expect(disk.openHandles, when).toBe(0);
}

// one in seven of the steps in turn, so that the test is quick: all of them took nothing away either
test.each([
  ['EIO', 1],
  ['EIO', 3],
  ['ENOSPC', 1],
])(
  'whichever step fails with %s, %i in a row: what was acknowledged is there after a crash, and after a close',
  async (code, times) => {
    for (let failing = times; ; failing += 7) {
      const disk = new MemoryDisk();
      const { engine } = await openInMemory(disk, { config: CONFIG });
      let steps = 0;
      let failed: string | undefined;
      disk.fault = (call) => {
        const step = steps++;
        if (step < failing || step >= failing + times) return undefined;
        failed ??= call;
        return coded(code);
      };
      const all = await live(engine);
      disk.fault = () => undefined;
      const left = disk.copy();
      await engine.close();
      if (failed === undefined) break;
      await expectAllOf(all, left, `crashed after step ${failing}, ${failed}`);
      await expectAllOf(all, disk, `closed after step ${failing}, ${failed}`);
    }
  },
);
