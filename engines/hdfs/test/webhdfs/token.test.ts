import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@robustmq/core/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backendOf } from '../../src/backend.ts';
import { type Answer, json, type LittleServer, littleServer, refusal, text } from '../support/little-server.ts';
import { settingsOf } from '../support/settings.ts';

const FILE = { pathSuffix: '', type: 'FILE', length: 3, modificationTime: 7 };
const THERE = json(200, { FileStatus: FILE, XAttrs: [], boolean: true });
const EXPIRED = refusal(403, 'InvalidToken', 'token (token for robust: HDFS_DELEGATION_TOKEN) is expired');
const UNKNOWN = refusal(403, 'InvalidToken', "token (token for robust: HDFS_DELEGATION_TOKEN) can't be found in cache");

let folder: string;
let file: string;
let server: LittleServer;
let clock: VirtualClock;
/** The token that the server knows, and what it says to every other. */
let known: string;
let refuse: Answer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'robust-token-'));
  file = join(folder, 'token');
  clock = new VirtualClock();
  [known, refuse] = ['one', EXPIRED];
  server = await littleServer((request, response) => {
    const token = new URL(request.url ?? '/', server.address).searchParams.get('delegation');
    (token === known ? THERE : refuse)(request, response);
  });
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const open = async () =>
  (await backendOf(settingsOf({ nameNodes: [server.address], delegationTokenFile: file }), clock)).store;
const sent = (): (string | null)[] =>
  server.requests.map(({ url = '/' }) => new URL(url, server.address).searchParams.get('delegation'));

describe('a token in a file', () => {
  test('is sent, without what is around it', async () => {
    await writeFile(file, '  one\r\n\n');
    const store = await open();
    expect(await store.head('c/medium')).toMatchObject({ bytes: 3 });
    expect(new Set(sent())).toEqual(new Set(['one']));
    store.close();
  });

  test.each([
    ['is not there', undefined, /can not be read: ENOENT/],
    ['is empty', ' \n', /is empty/],
    ['holds two lines', 'one\ntwo\n', /something else than a token/],
    ["is one of Hadoop's own", 'HDTS\0\u0001\u0007', /something else than a token/],
    ['is huge', 'x'.repeat(20_000), /something else than a token/],
  ])('that %s is told at the start, with what to do', async (_, content, message) => {
    if (content !== undefined) await writeFile(file, content);
    await expect(open()).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      message: expect.stringMatching(message),
      hint: expect.stringContaining('GETDELEGATIONTOKEN'),
    });
    expect(server.asked).toEqual([]);
  });

  test.each([
    ['has expired', () => EXPIRED],
    ['is not known', () => UNKNOWN],
    ['is no proof', () => text(401, 'Authentication required')],
  ])('is read again when the server says that it %s: the same request goes on with the new one', async (_, answer) => {
    await writeFile(file, 'one');
    const store = await open();
    [known, refuse] = ['two', answer()];
    await writeFile(file, 'two');
    await Promise.all([store.delete('c/a'), store.delete('c/b')]);
    expect(sent().toSorted()).toEqual(['one', 'one', 'two', 'two']);
    store.close();
  });

  test('that is refused, and still the same, is told, and asked with again by whoever tries again', async () => {
    await writeFile(file, 'one');
    const store = await open();
    known = 'two';
    await expect(store.delete('c/a')).rejects.toMatchObject({ trouble: 'expired', mayBeApplied: false });
    expect(sent()).toEqual(['one']);
    await rm(file);
    await expect(store.delete('c/a')).rejects.toMatchObject({
      trouble: 'credentials',
      mayBeApplied: false,
      message: expect.stringMatching(/is refused, and delegationTokenFile .* can not be read: ENOENT/),
    });
    await writeFile(file, 'two');
    await store.delete('c/a');
    store.close();
  });

  test('is taken up within a second when it changes, before the server refuses the old one', async () => {
    await writeFile(file, 'one');
    const store = await open();
    await writeFile(file, 'two');
    await store.delete('c/a');
    known = 'two';
    await clock.advance(1000);
    await store.delete('c/a');
    expect(sent()).toEqual(['one', 'two']);
    store.close();
  });

  test('is not missed while nobody refuses it: it may be in the middle of being written', async () => {
    await writeFile(file, 'one');
    const store = await open();
    for (const broken of [async () => await writeFile(file, ''), async () => await rm(file)]) {
      await broken();
      await clock.advance(1000);
      await store.delete('c/a');
    }
    expect(sent()).toEqual(['one', 'one']);
    store.close();
  });
});
