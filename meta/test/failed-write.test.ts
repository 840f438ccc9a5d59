import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isStorageError, type MetaEvent } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { openLevelMeta } from '@robustmq/meta';
import { Level } from 'level';
import { afterEach, describe, expect, it } from 'vitest';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A real database on a disk that can be told to fail. */
class FaultyLevel extends Level<string, Uint8Array> {
  /** Fails each write: before it has done anything, or after all of it. */
  fault: 'before' | 'after' | undefined;
  opens = true;
  /** Holds each write back. */
  gate: Promise<void> | undefined;
  onWrite = (): void => {};

  constructor(dir: string) {
    super(dir, { valueEncoding: 'view' });
  }

  override batch(): never {
    const batch = super.batch() as unknown as { write(options: object): Promise<void> };
    const write = batch.write.bind(batch);
    batch.write = async (options) => {
      this.onWrite();
      await this.gate;
      if (this.fault === 'before') throw new Error('no space left');
      await write(options);
      if (this.fault === 'after') throw new Error('the sync failed');
    };
    return batch as never; // the overloads of abstract-level can not be written down again
  }

  override async open(): Promise<void> {
    if (!this.opens) throw new Error('no space left');
    await super.open();
  }
}

async function faultyMeta() {
  const dir = await mkdtemp(join(tmpdir(), 'robust-meta-'));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  const db = new FaultyLevel(dir);
  const clock = new VirtualClock();
  const meta = await openLevelMeta({ dir, clock, database: () => db });
  cleanups.push(() => meta.close());
  return { meta, db, clock, dir };
}

const put = (id: string, key: string, guard?: number) => ({
  id,
  puts: [{ key, value: Buffer.from(id) }],
  ...(guard === undefined ? {} : { guards: [{ key, revision: guard }] }),
});
const codeAndOutcome = (error: unknown) => (isStorageError(error) ? `${error.code} ${error.outcome}` : error);

/** Moves the clock until Meta is well; each try to open again is real I/O. */
async function healed({ meta, clock }: Awaited<ReturnType<typeof faultyMeta>>): Promise<void> {
  while (meta.health().status !== 'ok') {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('Meta on level after a write that failed', () => {
  it('opens the database again and goes on, without a restart', async () => {
    const { meta, db } = await faultyMeta();
    await meta.commit(put('a', 'k'));
    db.fault = 'before';
    expect(await meta.commit(put('b', 'k')).catch(codeAndOutcome)).toBe('META_UNAVAILABLE none');
    db.fault = undefined;
    expect(await meta.commit(put('b', 'k', 1))).toEqual({ ok: true, revision: 2 });
    expect(meta.health()).toEqual({ status: 'ok', detail: '' });
  });

  it('tells a caller whose commit got through that it did, and so the watchers', async () => {
    const { meta, db } = await faultyMeta();
    await meta.commit(put('a', 'k'));
    const abort = new AbortController();
    const watching = (async () => {
      const seen: MetaEvent[] = [];
      for await (const events of meta.watch({ prefix: '', from: 1, signal: abort.signal })) {
        seen.push(...events);
        if (seen.length === 2) return seen.map(({ type, key, revision }) => `${type} ${key} ${revision}`);
      }
    })();
    db.fault = 'after';
    expect(await Promise.all([meta.commit(put('b', 'k', 1)), meta.commit(put('c', 'j', 0))])).toEqual([
      { ok: true, revision: 2 },
      { ok: true, revision: 3 },
    ]);
    expect(await watching).toEqual(['put k 2', 'put j 3']);
  });

  it('reads on while the disk takes no writes, and goes on once it does', async () => {
    const broken = await faultyMeta();
    const { meta, db, clock, dir } = broken;
    await meta.commit(put('a', 'k'));
    const probe = join(dir, 'PROBE');
    await mkdir(probe); // in the way of the file that is written to find out
    db.fault = 'before';
    expect(await meta.commit(put('b', 'k')).catch(codeAndOutcome)).toBe('META_UNAVAILABLE unknown');
    await clock.advance(100_000);
    expect((await meta.get('k'))?.revision).toBe(1);
    expect((await meta.list({ prefix: '' })).entries).toHaveLength(1);
    expect(meta.health().status).toBe('failed');
    db.fault = undefined;
    await rmdir(probe);
    await healed(broken);
    expect(await meta.commit(put('b', 'k', 1))).toEqual({ ok: true, revision: 2 });
  });

  it('shows that it has failed, and tries on its clock until the database opens', async () => {
    const broken = await faultyMeta();
    const { meta, db } = broken;
    await meta.commit(put('a', 'k'));
    db.fault = 'after';
    db.opens = false;
    expect(await meta.commit(put('b', 'k')).catch(codeAndOutcome)).toBe('META_UNAVAILABLE unknown');
    expect(await meta.commit(put('b', 'k')).catch(codeAndOutcome)).toBe('META_UNAVAILABLE unknown');
    expect(await meta.commit(put('c', 'k')).catch(codeAndOutcome)).toBe('META_UNAVAILABLE none');
    expect(meta.health()).toMatchObject({ status: 'failed', detail: expect.stringContaining('no space left') });
    db.fault = undefined;
    db.opens = true;
    await healed(broken);
    expect(await meta.commit(put('b', 'k'))).toEqual({ ok: true, revision: 2 });
    expect(await meta.commit(put('c', 'k', 2))).toEqual({ ok: true, revision: 3 });
    expect((await meta.get('k'))?.revision).toBe(3);
  });

  it('tells only the caller whose row is damaged', async () => {
    const { meta, db } = await faultyMeta();
    await meta.commit(put('a', 'bad'));
    await meta.commit(put('b', 'good'));
    await db.put('d/bad', Buffer.from('not a row'));
    const [bad, good] = await Promise.allSettled([meta.commit(put('c', 'bad', 1)), meta.commit(put('d', 'good', 2))]);
    expect(bad).toMatchObject({ reason: { code: 'CORRUPT' } });
    expect(good).toMatchObject({ value: { ok: true, revision: 3 } });
    expect(meta.health().status).toBe('ok');
    expect(await meta.commit(put('e', 'good', 3))).toMatchObject({ ok: true });
  });

  it('finishes the group it is writing when it is closed, and answers CLOSED to what waits behind', async () => {
    const { meta, db } = await faultyMeta();
    await meta.commit(put('a', 'k'));
    let open = (): void => {};
    db.gate = new Promise((resolve) => {
      open = resolve;
    });
    const atWrite = new Promise<void>((resolve) => {
      db.onWrite = resolve;
    });
    const first = meta.commit(put('b', 'k', 1));
    await atWrite;
    const second = meta.commit(put('c', 'k', 1)).catch(codeAndOutcome);
    const closing = meta.close();
    open();
    expect(await first).toEqual({ ok: true, revision: 2 });
    expect(await second).toBe('CLOSED none');
    await closing;
  });
});
