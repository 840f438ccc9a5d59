import { randomUUID } from 'node:crypto';
import { systemClock } from '@robustmq/core';
import type { FileStore } from '@robustmq/engine-objects';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, put } from '../../../../test/real/hdfs-request.ts';
import { type HdfsServer, startHdfs } from '../../../../test/real/hdfs-server.ts';
import { storeContract, troubleOf } from '../../../objects/test/store/contract.ts';
import { backendOf } from '../../src/backend.ts';
import type { HdfsSettings } from '../../src/settings.ts';
import { settingsOf } from '../support/settings.ts';

let server: HdfsServer;
beforeAll(async () => {
  server = await startHdfs();
});
afterAll(() => server?.stop());

async function open(own: Partial<HdfsSettings> = {}, at = server): Promise<FileStore> {
  const settings = settingsOf({ nameNodes: [at.nameNode.httpAddress], user: 'root', ...own });
  // it is one of files
  const store = (await backendOf(settings, systemClock)).store as FileStore;
  store.workIn('contract/tmp/1-1/');
  return store;
}

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

storeContract('HDFS as a store of objects', { open, folders: false });

describe('HDFS as a store of files', () => {
  let store: FileStore;
  const text = async (key: string, bytes: number): Promise<string> =>
    Buffer.from(await store.getRange(key, 0, bytes)).toString();

  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());

  test('appends, and what was appended can be read', async () => {
    await store.append('c/log/1', 0, [Buffer.from('one,')]);
    await store.append('c/log/1', 4, [Buffer.from('two'), Buffer.from(',')]);
    await store.append('c/log/1', 8, chunks('three', ',', 'four'));
    expect(await text('c/log/1', 18)).toBe('one,two,three,four');
    expect(await store.head('c/log/1')).toMatchObject({ bytes: 18 });
    expect(await troubleOf(store.append('c/log/none', 4, [Buffer.from('x')]))).toBe('not-found');
  });

  test('appends a chunk that is larger than what is sent at once, and chunks that their source uses again', async () => {
    const large = Buffer.alloc(3_000_001, 'large');
    async function* reused(): AsyncGenerator<Uint8Array> {
      const buffer = Buffer.alloc(300_000);
      for (let i = 0; i < 10; i++) {
        buffer.fill(i);
        yield buffer;
      }
    }
    await store.append('c/log/2', 0, [large]);
    await store.append('c/log/2', large.length, reused());
    expect(Buffer.from(await store.getRange('c/log/2', 0, large.length)).equals(large)).toBe(true);
    for (let i = 0; i < 10; i++)
      expect(
        Buffer.from(await store.getRange('c/log/2', large.length + i * 300_000, 300_000)).equals(
          Buffer.alloc(300_000, i),
        ),
      ).toBe(true);
  });

  test('deletes a folder with all that is in it', async () => {
    const upload = await store.beginUpload('c/ab12/seg/x', { uid: 'left' });
    await store.putPart('c/ab12/seg/x', upload, 1, [Buffer.from('half')]);
    const other = await open();
    await other.deleteFolder('contract/tmp/1-1/');
    await other.deleteFolder('contract/tmp/1-1/');
    await store.putPart('c/ab12/seg/x', upload, 2, [Buffer.from('more')]).catch(() => {});
    expect(await troubleOf(store.completeUpload('c/ab12/seg/x', upload, ['1', '2']))).not.toBe('none');
    expect(await store.head('c/ab12/seg/x')).toBeUndefined();
    other.close();
  });

  test('keeps names few: a directory for two digits of the hash', async () => {
    for (const name of ['ab12/seg/one/0', 'ab99/seg/two/1', 'manifest/7', 'medium'])
      await store.put(`names/${name}`, [Buffer.from(name)], { uid: 'u' });
    const answer = await fetch(`${server.nameNode.httpAddress}/webhdfs/v1/robust/names?op=LISTSTATUS&user.name=root`);
    const { FileStatuses } = (await answer.json()) as { FileStatuses: { FileStatus: { pathSuffix: string }[] } };
    expect(FileStatuses.FileStatus.map(({ pathSuffix }) => pathSuffix)).toEqual(['ab', 'manifest', 'medium']);
    const found = await store.list({ prefix: 'names/', limit: 10 });
    expect(found.objects.map(({ key }) => key)).toEqual([
      'names/ab12/seg/one/0',
      'names/ab99/seg/two/1',
      'names/manifest/7',
      'names/medium',
    ]);
    expect((await store.list({ prefix: '', limit: 10, delimiter: '/' })).prefixes).toContain('names/');
    const behind = await store.list({ prefix: '', limit: 10, delimiter: '/', after: 'names0' });
    expect(behind.prefixes).not.toContain('names/');
  });

  test.each([
    ['cut', async (path: string) => await at(server.nameNode, 'POST', `${path}?op=TRUNCATE&newlength=0`)],
    ['written anew', async (path: string) => await put(server.nameNode, path, 'another', { overwrite: true })],
  ])(
    'does not say that something was appended where it was not: the file was %s behind its back',
    async (_, change) => {
      const key = `c/log/${randomUUID()}`;
      await store.append(key, 0, [Buffer.from('one,')]);
      await change(`/robust/${key}`);
      expect(await troubleOf(store.append(key, 4, [Buffer.from('two')]))).toBe('conflict');
    },
  );

  test('makes nothing anew where the directory of a cluster was moved away, and goes on when it is back', async () => {
    const own = await open();
    own.workIn('moved/tmp/1-1/');
    await own.put('moved/medium', [Buffer.from('moved')], { uid: 'u', ifAbsent: true });
    await own.append('moved/ab12/log/x', 0, [Buffer.from('one,')]);
    const move = async (from: string, to: string): Promise<void> => {
      const answer = await at(server.nameNode, 'PUT', `/robust/${from}?op=RENAME&destination=/robust/${to}`);
      expect(Buffer.from(answer.body).toString()).toContain('true');
    };
    await move('moved', 'aside');
    for (const name of ['ab34/seg/y', 'cd56/seg/z']) {
      const writes = [
        () => own.put(`moved/${name}`, [Buffer.from('x')], { uid: 'u' }),
        () => own.append(`moved/${name}`, 0, [Buffer.from('x')]),
        async () => await own.beginUpload(`moved/${name}`, { uid: 'u' }),
      ];
      for (const write of writes) {
        // the first to notice that its folder is gone tries again
        const trouble = await troubleOf(write());
        expect(trouble === 'conflict' ? await troubleOf(write()) : trouble).toBe('gone');
      }
    }
    await move('aside', 'moved');
    await own.append('moved/ab12/log/x', 4, [Buffer.from('two')]);
    await own.put('moved/cd56/seg/z', [Buffer.from('x')], { uid: 'u' });
    expect(Buffer.from(await own.getRange('moved/ab12/log/x', 0, 7)).toString()).toBe('one,two');
    own.close();
  });

  test('writes, marks and reads below names of all kinds', async () => {
    const prefix = "team's +%41&?#;= ü/";
    const strange = await open({ path: '/some place', prefix });
    strange.workIn(`${prefix}c/tmp/1-1/`);
    await strange.put(`${prefix}c/ab12/seg/x`, [Buffer.from('one')], { uid: 'u' });
    await strange.append(`${prefix}c/ab12/log/x`, 0, [Buffer.from('two')]);
    await strange.append(`${prefix}c/ab12/log/x`, 3, [Buffer.from('three')]);
    expect(await strange.head(`${prefix}c/ab12/seg/x`)).toEqual({ bytes: 3, uid: 'u' });
    const { objects } = await strange.list({ prefix: `${prefix}c/`, limit: 10 });
    expect(objects.map(({ key, bytes }) => [key, bytes])).toEqual([
      [`${prefix}c/ab12/log/x`, 8],
      [`${prefix}c/ab12/seg/x`, 3],
    ]);
    strange.close();
  });
});

test('on a cluster without attributes everything but the mark of who made a file is there', async () => {
  const plain = await startHdfs({ settings: { 'dfs.namenode.xattrs.enabled': false } });
  try {
    const store = await open({}, plain);
    await store.put('c/ab12/seg/x', [Buffer.from('one')], { uid: 'u' });
    await store.put('c/ab12/seg/y', [Buffer.from('two')], { uid: 'u', ifAbsent: true });
    const upload = await store.beginUpload('c/ab12/seg/z', { uid: 'u' });
    const part = await store.putPart('c/ab12/seg/z', upload, 1, [Buffer.from('three')]);
    await store.completeUpload('c/ab12/seg/z', upload, [part]);
    for (const [name, bytes] of Object.entries({ x: 3, y: 3, z: 5 }))
      expect(await store.head(`c/ab12/seg/${name}`)).toEqual({ bytes, uid: undefined });
    expect(await troubleOf(store.put('c/ab12/seg/y', [Buffer.from('no')], { uid: 'v', ifAbsent: true }))).toBe(
      'exists',
    );
    store.close();
  } finally {
    await plain.stop();
  }
});
