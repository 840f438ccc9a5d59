import { mkdtemp, open, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { META_LIMITS, type Meta, type MetaEvent } from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import { openLevelMeta } from '@robustmq/meta';
import { afterEach, describe, expect, it } from 'vitest';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function temporaryDirectory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'robust-meta-'));
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function levelMeta(dir: string) {
  const meta = await openLevelMeta({ dir });
  cleanups.push(() => meta.close());
  return meta;
}

const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : Buffer.from(value).toString());
const put = (id: string, key: string, value: string, revision?: number) => ({
  id,
  puts: [{ key, value: Buffer.from(value) }],
  ...(revision === undefined ? {} : { guards: [{ key, revision }] }),
});

const kinds: [string, () => Promise<Meta>][] = [
  ['memory', async () => new MemoryMeta()],
  ['level', async () => levelMeta(await temporaryDirectory())],
];

describe.each(kinds)('Meta port on %s', (_name, open) => {
  it('applies a commit only when every guard holds', async () => {
    const meta = await open();
    expect(await meta.commit(put('a', 'k', '1', 0))).toEqual({ ok: true, revision: 1 });
    expect(await meta.commit(put('b', 'k', '2', 0))).toEqual({ ok: false, key: 'k', revision: 1 });
    expect(text((await meta.get('k'))?.value)).toBe('1');
    expect(await meta.commit(put('c', 'k', '3', 1))).toEqual({ ok: true, revision: 2 });
    expect(await meta.get('missing')).toBeUndefined();
  });

  it('applies a mutation once however often its id is sent', async () => {
    const meta = await open();
    const first = await meta.commit(put('once', 'k', '1'));
    await meta.commit(put('other', 'k', '2'));
    expect(await meta.commit(put('once', 'k', '1'))).toEqual(first);
    expect(text((await meta.get('k'))?.value)).toBe('2');
  });

  it('judges the mutations of commitEach one by one, in order', async () => {
    const meta = await open();
    const results = await meta.commitEach([put('a', 'x', '1', 0), put('b', 'x', '2', 0), put('c', 'y', '1', 0)]);
    expect(results.map((r) => r.ok)).toEqual([true, false, true]);
  });

  it('lists by prefix in order, in pages', async () => {
    const meta = await open();
    for (const key of ['b/2', 'a/1', 'b/1', 'b/3', 'c/1']) await meta.commit(put(key, key, key));
    const page = await meta.list({ prefix: 'b/', limit: 2 });
    expect(page.entries.map((e) => e.key)).toEqual(['b/1', 'b/2']);
    expect(page.more).toBe(true);
    const rest = await meta.list({ prefix: 'b/', after: 'b/2', limit: 2 });
    expect(rest.entries.map((e) => e.key)).toEqual(['b/3']);
    expect(rest.more).toBe(false);
  });

  it('shows a watcher each change once, in order, from where it asked', async () => {
    const meta = await open();
    await meta.commit(put('a', 't/1', 'old'));
    const { revision } = await meta.list({ prefix: 't/' });
    const abort = new AbortController();
    const seen: MetaEvent[] = [];
    const watching = (async () => {
      for await (const events of meta.watch({ prefix: 't/', from: revision, signal: abort.signal })) {
        seen.push(...events);
        if (seen.length === 3) abort.abort();
      }
    })();
    await meta.commit(put('b', 'other/1', 'x'));
    await meta.commit({ id: 'c', puts: [{ key: 't/2', value: Buffer.from('v') }], deletes: ['t/1'] });
    await meta.commit(put('d', 't/3', 'v'));
    await watching;
    expect(seen.map((e) => `${e.type} ${e.key}`)).toEqual(['put t/2', 'delete t/1', 'put t/3']);
  });

  it('refuses what is over its limits', async () => {
    const meta = await open();
    const many = Array.from({ length: META_LIMITS.operations + 1 }, (_, i) => `k${i}`);
    await expect(meta.commit({ id: 'a', deletes: many })).rejects.toMatchObject({
      code: 'META_LIMIT',
      outcome: 'none',
    });
    const large = { key: 'k', value: new Uint8Array(META_LIMITS.bytes) };
    await expect(meta.commit({ id: 'b', puts: [large] })).rejects.toMatchObject({ code: 'META_LIMIT' });
  });

  it('keeps concurrent commits atomic', async () => {
    const meta = await open();
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) => meta.commit(put(`r${i}`, 'slot', `${i}`, 0))),
    );
    expect(results.filter((r) => r.ok)).toHaveLength(1);
  });
});

describe('Meta on level', () => {
  it('keeps rows, revisions and ids across a restart', async () => {
    const dir = await temporaryDirectory();
    const first = await openLevelMeta({ dir });
    const result = await first.commit(put('id-1', 'k', 'v'));
    await first.close();
    const second = await levelMeta(dir);
    expect(await second.get('k')).toMatchObject({ revision: 1 });
    expect(await second.commit(put('id-1', 'k', 'again'))).toEqual(result);
    expect(text((await second.get('k'))?.value)).toBe('v');
  });

  it('refuses a second opener of the same directory', async () => {
    const dir = await temporaryDirectory();
    await levelMeta(dir);
    await expect(openLevelMeta({ dir })).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  });

  it('says CORRUPT when a damaged file lost an acknowledged commit', async () => {
    const dir = await temporaryDirectory();
    const meta = await openLevelMeta({ dir });
    for (let i = 0; i < 50; i++) await meta.commit(put(`id-${i}`, `key-${i}`, 'v'.repeat(200)));
    await meta.close();
    const log = (await readdir(dir)).find((name) => name.endsWith('.log'));
    expect(log).toBeDefined();
    const file = await open(join(dir, log ?? ''), 'r+');
    await file.write(Buffer.from('garbage garbage garbage'), 0, 23, 4000);
    await file.close();
    await expect(openLevelMeta({ dir })).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each(['MANIFEST', 'CURRENT', '.ldb'])('says CORRUPT when its %s is gone or cut short', async (name) => {
    for (const damage of [(path: string) => rm(path), (path: string) => truncate(path, 7)]) {
      const dir = await temporaryDirectory();
      for (const id of ['a', 'b']) {
        const meta = await openLevelMeta({ dir });
        await meta.commit(put(id, id, 'x'));
        await meta.close();
      }
      await damage(join(dir, (await readdir(dir)).find((each) => each.includes(name)) ?? 'none'));
      await expect(openLevelMeta({ dir })).rejects.toMatchObject({ code: 'CORRUPT' });
    }
  });

  it('says CORRUPT when its manifest is damaged', async () => {
    const dir = await temporaryDirectory();
    const meta = await openLevelMeta({ dir });
    await meta.commit(put('a', 'k', 'v'));
    await meta.close();
    const current = await open(join(dir, 'CURRENT'), 'r+');
    await current.write(Buffer.from('NONSENSE-0000\n'), 0, 14, 0);
    await current.close();
    await expect(openLevelMeta({ dir })).rejects.toMatchObject({
      code: 'CORRUPT',
      hint: expect.stringContaining('backup'),
    });
  });
});
