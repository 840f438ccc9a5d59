import { VirtualClock } from '@robustmq/core/testing';
import type { FileStore } from '@robustmq/engine-objects';
import { expect, test } from 'vitest';
import { backendOf } from '../src/backend.ts';
import { json, littleServer } from './support/little-server.ts';
import { settingsOf } from './support/settings.ts';

/** An HDFS whose files have so many bytes, whatever was sent: something on the way has cut them, and ended them well. */
async function cutting(length: number, run: (store: FileStore) => Promise<unknown>): Promise<unknown> {
  const status = { pathSuffix: '', type: 'FILE', length, modificationTime: 7 };
  const server = await littleServer((request, response) => {
    const asked = new URL(request.url ?? '', 'http://x').searchParams;
    const op = asked.get('op');
    if (request.url?.startsWith('/data') === true) {
      request.resume().on('end', () => response.writeHead(201).end());
    } else if (op === 'CREATE' || op === 'APPEND') {
      request.resume();
      response.writeHead(307, { location: `${server.address}/data` }).end();
    } else if (op === 'GETFILESTATUS') json(200, { FileStatus: status })(request, response);
    else if (op === 'SETXATTR' || asked.has('renameoptions')) request.resume() && response.writeHead(200).end();
    else json(200, { boolean: true })(request, response);
  });
  const { store } = await backendOf(settingsOf({ nameNodes: [server.address] }), new VirtualClock());
  try {
    return await run(store as FileStore).then(
      () => 'stored',
      (error: unknown) => error,
    );
  } finally {
    store.close();
    await server.close();
  }
}

const parts = async (store: FileStore): Promise<void> => {
  const upload = await store.beginUpload('c/seg/1', { uid: 'u' });
  const tags = [
    await store.putPart('c/seg/1', upload, 1, [Buffer.from('ab')]),
    await store.putPart('c/seg/1', upload, 2, [Buffer.from('cd'), Buffer.from('e')]),
  ];
  await store.completeUpload('c/seg/1', upload, tags);
};

test.each([
  [
    'an object',
    async (store: FileStore) => await store.put('c/seg/1', [Buffer.from('abc'), Buffer.from('de')], { uid: 'u' }),
  ],
  ['a file that begins', async (store: FileStore) => await store.append('c/log/1', 0, [Buffer.from('abcde')])],
  ['an object in parts', parts],
])('%s is stored when all of it arrived, and else is not', async (_, write) => {
  expect(await cutting(5, write)).toBe('stored');
  for (const length of [4, 6, 0]) expect(await cutting(length, write)).toMatchObject({ trouble: 'conflict' });
});
