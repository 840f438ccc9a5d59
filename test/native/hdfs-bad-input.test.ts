import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Answer,
  type LittleServer,
  littleServer,
  nowhere,
  passOnTo,
  refusal,
  text,
} from '../../engines/hdfs/test/support/little-server.ts';
import { inFolder } from '../../server/test/node-fixture.ts';
import { put } from '../real/hdfs-request.ts';
import { type HdfsServer, startHdfs } from '../real/hdfs-server.ts';
import { verbsFail } from './archive-verbs.ts';
import { type Damage, damageIsTold, isNotTakenFor, refusesToStart, startsBefore, startsWithout } from './bad-store.ts';
import { lakeOn } from './hdfs-lake.ts';
import { storeOn } from './store-at-hand.ts';
import { type EngineSettings, timeToAcknowledge, underStress } from './stress.ts';

const PATH = '/inputs';
const HTML = '<html><body>It works!</body></html>';
/** As Hadoop says it of a port of RPC. */
const RPC_PORT =
  'It looks like you are making an HTTP request to a Hadoop IPC port. This is not the correct port for the web interface on this daemon.\r\n';
/** As a NameNode with security on says them. */
const TOKEN =
  'token (token for robust: HDFS_DELEGATION_TOKEN owner=robust, renewer=robust, realUser=, issueDate=1795871049423, maxDate=1796475849423, sequenceNumber=7, masterKeyId=2)';
const EXPIRED = refusal(403, 'InvalidToken', `${TOKEN} is expired, current time: 2026-11-28 13:04:09,423+0000`);
const UNKNOWN_TOKEN = refusal(403, 'InvalidToken', `${TOKEN} can't be found in cache`);
const TWO_TOKENS = { delegationToken: 'x', delegationTokenFile: 'token' };
const NO_TICKET = text(401, '<html><body><h2>HTTP ERROR 401 Authentication required</h2></body></html>', {
  'www-authenticate': 'Negotiate',
});

let server: HdfsServer;
let front: LittleServer;
beforeAll(async () => {
  // it belongs to who runs it: others have the rights that files and directories give them
  server = await startHdfs({ settings: { 'dfs.permissions.enabled': true, 'hadoop.http.staticuser.user': 'nobody' } });
  front = await littleServer(text(500, ''));
});
afterAll(async () => {
  await front?.close();
  await server?.stop();
});

const lake = (own: EngineSettings = {}): EngineSettings => lakeOn(server, { path: PATH, patienceMs: '600ms', ...own });
const behind = (answer: Answer, own: EngineSettings = {}): EngineSettings => {
  front.answer = answer;
  return lake({ nameNodes: [front.address], ...own });
};

describe('A node whose HDFS can not be used', () => {
  const without = (bad: EngineSettings, code: RegExp, hint: RegExp): Promise<void> =>
    startsWithout({ good: lake(), bad }, code, hint);

  test('because nothing listens there', () =>
    without(lake({ nameNodes: ['http://127.0.0.1:9'] }), /STORE_UNAVAILABLE.*ECONNREFUSED/s, /Check nameNodes/));

  test('because its name does not resolve', () =>
    without(lake({ nameNodes: ['http://no-such-host.invalid:9870'] }), /STORE_UNAVAILABLE/, /Check nameNodes/));

  test('because the user may not go there', () =>
    without(lake({ user: 'mallory' }), /STORE_DENIED.*user=mallory/s, /hdfs dfs -chown/));

  test('because HDFS without security hears no token, and we are nobody to it', () =>
    without(lake({ user: undefined, delegationToken: 'means-nothing' }), /STORE_DENIED.*user=nobody/s, /another user/));

  const token = { user: undefined, delegationToken: 'a-token' };
  test.each([
    ['the token has expired', EXPIRED, token, /STORE_DENIED.*is expired/s, /Get a new delegation token/],
    ['the token means nothing', UNKNOWN_TOKEN, token, /STORE_DENIED.*can't be found/s, /Set user, delegationToken/],
    ['it wants a ticket', NO_TICKET, {}, /STORE_DENIED.*status 401/s, /authorize/],
    [
      'it has just begun to start',
      refusal(403, 'RetriableException', 'Namenode is in startup mode'),
      {},
      /STORE_UNAVAILABLE.*startup/s,
      /NameNode's/,
    ],
  ] as const)('because %s', (_, answer, own, code, hint) => without(behind(answer, own), code, hint));

  test('because a DataNode can not be reached by the name that it has', async () => {
    const gone = await nowhere();
    const bad = behind(
      passOnTo(server.nameNode.httpAddress, (location) => `${gone}${location.pathname}${location.search}`),
    );
    await without(
      bad,
      new RegExp(`STORE_UNAVAILABLE.*${new URL(gone).host}`, 's'),
      /DataNodes are reached by the names/,
    );
  });
});

test('A node that starts in safe mode, and for the first time, says so and goes on when it ends', async () => {
  await server.nameNode.safeMode('enter');
  const leave = () => server.nameNode.safeMode('leave');
  try {
    await startsBefore(leave, lake({ path: '/safe' }), /STORE_UNAVAILABLE.*safe mode/s, /dfsadmin -safemode leave/);
  } finally {
    await leave();
  }
});

test('A node that writes waits while its token has expired, and goes on by itself when another one is written into its file', async () => {
  const well = passOnTo(server.nameNode.httpAddress);
  let known = 'first';
  // without security HDFS hears no token: what is in front of it knows whose it is
  const secured: Answer = (request, response) => {
    const url = new URL(request.url ?? '/', front.address);
    if (url.searchParams.get('delegation') !== known) return EXPIRED(request, response);
    url.searchParams.delete('delegation');
    url.searchParams.set('user.name', 'root');
    request.url = `${url.pathname}${url.search}`;
    well(request, response);
  };
  await inFolder(async (folder) => {
    const file = join(folder, 'token');
    await writeFile(file, 'first\n');
    const own = { path: '/token', user: undefined, delegationTokenFile: file };
    await underStress(behind(secured, own), async ({ live, says, ready }) => {
      known = 'second';
      await says(/STORE_DENIED.*is expired.*Get a new delegation token/s);
      expect(await ready()).toBe(false);
      await writeFile(file, '');
      await says(/STORE_DENIED.*delegationTokenFile .* is empty/s);
      await rm(file);
      await says(/STORE_DENIED.*delegationTokenFile .* can not be read: ENOENT/s);
      await writeFile(file, 'second\n');
      console.log(`another token is there: acknowledged after ${await timeToAcknowledge(live)} ms`);
    });
  });
});

test('A node that writes waits while its token has expired, and while DataNodes can not be reached, and loses nothing', async () => {
  const gone = await nowhere();
  const well = passOnTo(server.nameNode.httpAddress);
  await underStress(behind(well), async ({ live, says }) => {
    front.answer = EXPIRED;
    await says(/STORE_DENIED.*is expired.*Get a new delegation token/s);
    front.answer = well;
    await timeToAcknowledge(live);
    front.answer = passOnTo(server.nameNode.httpAddress, ({ pathname, search }) => `${gone}${pathname}${search}`);
    await says(/STORE_UNAVAILABLE.*DataNodes are reached by the names/s);
    front.answer = well;
  });
});

describe('A node whose settings can not be meant does not start', () => {
  test.each([
    ['everything there is answered alike', text(200, HTML)],
    ['nothing is found there', text(404, HTML)],
    ['it is the port of RPC', text(404, RPC_PORT)],
    ['it wants everything somewhere else', text(302, '', { location: '/login' })],
  ])('because %s', (_, answer) => refusesToStart(behind(answer), 'STORE_MISCONFIGURED', /Check nameNodes and path/));

  test('because a file is where the directory should be', async () => {
    expect(await put(server.nameNode, '/a-file', 'x', { user: 'root' })).toBe('created');
    await refusesToStart(lake({ path: '/a-file' }), 'STORE_MISCONFIGURED', /Check nameNodes and path/);
  });

  test.each([
    ['the address has no scheme', { nameNodes: ['nn1:9870'] }, /scheme, host and the port of WebHDFS/],
    ['there are a user and a token', { delegationToken: 'x' }, /Set one of them/],
    ['HDFS has no such names', { path: '/a:b' }, /no names with a colon/],
    ['a token is to come from two places', { user: undefined, ...TWO_TOKENS }, /Set one of them/],
    [
      'the file of the token is not there',
      { user: undefined, delegationTokenFile: 'no-such' },
      /one token and nothing/,
    ],
    ['the certificate is not there', { caFile: 'no-such.pem' }, /no-such\.pem can not be read/],
    ['the module is not there', { authorize: './no-such.js' }, /no-such\.js can not be loaded/],
  ])('because %s', (_, own, hint) => refusesToStart(lake(own), 'STORE_MISCONFIGURED', hint));

  test('because the directory is another one, or was emptied', () => isNotTakenFor(lake({ path: '/another' }), lake()));
});

describe('Each verb of archive says what is wrong with HDFS, and what to do, and ends,', () => {
  test.each([
    ['where nothing listens', { nameNodes: ['http://127.0.0.1:9'] }, undefined, 'STORE_UNAVAILABLE', /Check nameNodes/],
    [
      'whose name does not resolve',
      { nameNodes: ['http://no-such-host.invalid:9870'] },
      undefined,
      'STORE_UNAVAILABLE',
      /Check nameNodes/,
    ],
    [
      'for which the token has expired',
      { user: undefined, delegationToken: 'a-token' },
      EXPIRED,
      'STORE_DENIED',
      /Get a new delegation token/,
    ],
    ['that wants a ticket', {}, NO_TICKET, 'STORE_DENIED', /authorize/],
    ['that is none', {}, text(200, HTML), 'STORE_MISCONFIGURED', /Check nameNodes and path/],
    ['with nothing of ours there', { path: '/not-there' }, undefined, 'INVALID_ARGUMENT', /Correct nameNodes, path/],
  ] as const)('%s', (_, own, answer, code, hint) =>
    inFolder((folder) => verbsFail(folder, answer === undefined ? lake(own) : behind(answer, own), { code, hint })),
  );
});

describe('A file that somebody else has changed', () => {
  test.each([
    ['deleted', 'SEGMENT_LOST'],
    ['cut short', 'CORRUPT'],
    ['changed in one bit', 'CORRUPT'],
  ] as const satisfies [Damage, string][])('%s is told as %s, and nothing else is touched by it', (damage, code) =>
    damageIsTold(storeOn(server, { path: PATH }), damage, code),
  );
});
