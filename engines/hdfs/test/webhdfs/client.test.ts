import type { IncomingMessage } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { getCACertificates } from 'node:tls';
import { VirtualClock } from '@robustmq/core/testing';
import { StoreError } from '@robustmq/engine-objects';
import { afterEach, describe, expect, test } from 'vitest';
import { backendOf, tlsOf, trustedBeside } from '../../src/backend.ts';
import { checkSettings } from '../../src/settings.ts';
import { type Authorize, WebHdfs, type WebHdfsOptions } from '../../src/webhdfs/client.ts';
import { fixedToken } from '../../src/webhdfs/token.ts';
import {
  type Answer,
  byOp,
  CERT_FILE,
  json,
  KEY_FILE,
  type LittleServer,
  littleServer,
  nowhere,
  redirectTo,
  refusal,
  STANDBY,
  STARTING,
  text,
} from '../support/little-server.ts';
import { settingsOf } from '../support/settings.ts';

const TIMEOUT_MS = 5000;
const FILE = { pathSuffix: '', type: 'FILE', length: 3, modificationTime: 7 };
const THERE = json(200, { FileStatus: FILE });
const NOT_THERE = refusal(404, 'FileNotFoundException', 'File does not exist: /f');
const silent: Answer = (request) => void request.resume();

const clock = new VirtualClock();
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function serve(answer: Answer, tls?: 'server' | 'mutual'): Promise<LittleServer> {
  const server = await littleServer(answer, tls);
  closing.push(() => server.close());
  return server;
}

function clientOf(addresses: readonly string[], own: Partial<WebHdfsOptions> = {}): WebHdfs {
  const client = new WebHdfs({
    nameNodes: checkSettings(settingsOf({ nameNodes: addresses })),
    path: '/robust/here',
    user: undefined,
    token: undefined,
    authorize: undefined,
    tls: {},
    nameNodeTimeoutMs: TIMEOUT_MS,
    requestTimeoutMs: TIMEOUT_MS,
    clock,
    ...own,
  });
  closing.push(() => client.close());
  return client;
}

async function failureOf(running: Promise<unknown>): Promise<StoreError> {
  const error = await running.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError; // as was just seen
}

/** Until a server has got so many requests. */
async function heard({ asked }: LittleServer, requests: number): Promise<void> {
  while (asked.length < requests) await turn();
}

describe('of several NameNodes', () => {
  test('a standby passes the question on, and is not asked again', async () => {
    const [standby, active] = [await serve(STANDBY), await serve(THERE)];
    const client = clientOf([standby.address, active.address]);
    for (let i = 0; i < 3; i++) expect(await client.status('/f', {})).toEqual(FILE);
    expect(standby.asked).toEqual(['GET GETFILESTATUS /f']);
    expect(active.asked).toHaveLength(3);
  });

  test.each([
    ['that starts', STARTING],
    ['that knows no DataNode', refusal(403, 'IOException', 'Failed to find datanode, suggest to check cluster health')],
    ['that answers in its own way', text(500, '<html>')],
  ])('one %s passes the question on', async (_, answer) => {
    const [first, active] = [await serve(answer), await serve(THERE)];
    const client = clientOf([first.address, active.address]);
    expect(await client.status('/f', {})).toEqual(FILE);
    expect(first.asked).toHaveLength(1);
  });

  test('one that is gone is passed over, and so is one that says nothing', async () => {
    const [asleep, active] = [await serve(silent), await serve(THERE)];
    const client = clientOf([await nowhere(), asleep.address, active.address]);
    const asking = client.status('/f', {});
    await heard(asleep, 1);
    expect(active.asked).toEqual([]);
    await clock.advance(TIMEOUT_MS);
    expect(await asking).toEqual(FILE);
  });

  // one that woke up after a failover takes itself for active, and knows nothing of what was made since
  test('one that says that there is no such file is not believed when another one has it, nor asked again', async () => {
    const [woken, active] = [await serve(NOT_THERE), await serve(THERE)];
    const client = clientOf([woken.address, active.address]);
    for (let i = 0; i < 3; i++) expect(await client.status('/f', {})).toEqual(FILE);
    expect(woken.asked).toHaveLength(1);
  });

  test.each([
    ['standby', STANDBY],
    ['of the same mind', NOT_THERE],
  ])('there is no such file when one says so, and the other one is %s', async (_, answer) => {
    for (const answers of [
      [NOT_THERE, answer],
      [answer, NOT_THERE],
    ]) {
      const addresses: string[] = [];
      for (const one of answers) addresses.push((await serve(one)).address);
      expect(await clientOf(addresses).status('/f', {})).toBeUndefined();
    }
  });

  // the other one may have been active since, and have the file
  describe.each([
    ['gone', undefined, 'unreachable'],
    ['starting', STARTING, 'server'],
  ] as const)('when one says that there is no such file, and the other one is %s', (_, answer, trouble) => {
    const pairs = async (says: Answer): Promise<readonly { client: WebHdfs; asked: LittleServer }[]> => {
      const one = async () => await serve(says);
      const other = async () => (answer === undefined ? await nowhere() : (await serve(answer)).address);
      const [first, second] = [await one(), await one()];
      return [
        { client: clientOf([first.address, await other()]), asked: first },
        { client: clientOf([await other(), second.address]), asked: second },
      ];
    };

    test.each([
      ['can not write', STANDBY],
      ['ends when it writes', ((request) => void request.socket.destroy()) satisfies Answer],
      ['may not write', refusal(403, 'AccessControlException', 'Permission denied')],
    ])('nothing is known while the first one %s', async (_how, writes) => {
      for (const { client } of await pairs(byOp({ SETTIMES: writes }, NOT_THERE))) {
        expect(await failureOf(client.status('/f', {}))).toMatchObject({ trouble });
        expect(await failureOf(client.list('/d', {}))).toMatchObject({ trouble });
      }
      for (const { client } of await pairs(byOp({ SETTIMES: writes }, json(200, { boolean: false })))) {
        expect(await failureOf(client.delete('/f', { recursive: false }))).toMatchObject({ trouble });
        expect(await failureOf(client.rename('/f', '/g', {}))).toMatchObject({ trouble });
      }
    });

    test('it is believed when it writes, to the first directory that is there', async () => {
      const writes: Answer = (request, response) =>
        (request.url?.includes('/robust/here?') === true ? NOT_THERE : text(200, ''))(request, response);
      for (const { client, asked } of await pairs(byOp({ SETTIMES: writes }, NOT_THERE))) {
        expect(await client.status('/f', {})).toBeUndefined();
        expect(asked.asked).toEqual(['GET GETFILESTATUS /f', 'PUT SETTIMES /robust/here', 'PUT SETTIMES /robust']);
      }
      for (const { client } of await pairs(byOp({ SETTIMES: text(200, '') }, json(200, { boolean: false }))))
        expect(await client.rename('/f', '/g', {})).toBe(false);
    });

    test('nothing is known when no directory is there at all', async () => {
      for (const { client, asked } of await pairs(NOT_THERE)) {
        expect(await failureOf(client.status('/f', {}))).toMatchObject({ trouble });
        expect(asked.asked.at(-1)).toBe('PUT SETTIMES /');
      }
    });
  });

  test('that there is no such file is not believed when another one would not let us see it', async () => {
    const denied = await serve(refusal(403, 'AccessControlException', 'Permission denied'));
    const client = clientOf([(await serve(NOT_THERE)).address, denied.address]);
    expect(await failureOf(client.status('/f', {}))).toMatchObject({ trouble: 'denied' });
  });

  test('one that has nothing to delete, or to rename, is not believed when another one has', async () => {
    const [woken, active] = [await serve(json(200, { boolean: false })), await serve(json(200, { boolean: true }))];
    expect(await clientOf([woken.address, active.address]).delete('/f', { recursive: false })).toBe(true);
    expect(await clientOf([woken.address, active.address]).rename('/f', '/g', {})).toBe(true);
    const standby = await serve(STANDBY);
    expect(await clientOf([woken.address, standby.address]).delete('/f', { recursive: false })).toBe(false);
  });

  test.each([
    ['denied', refusal(403, 'AccessControlException', 'Permission denied')],
    ['read-only', refusal(403, 'SafeModeException', 'Name node is in safe mode.')],
    ['credentials', text(401, 'Authentication required')],
  ] as const)('one that refuses (%s) has answered: no other is asked', async (trouble, answer) => {
    const [first, other] = [await serve(answer), await serve(THERE)];
    expect(await failureOf(clientOf([first.address, other.address]).makeDirectory('/d', {}))).toMatchObject({
      trouble,
    });
    expect(other.asked).toEqual([]);
  });

  test.each([
    ['unreachable', 'all are gone', false, [undefined, undefined]],
    ['not-active', 'all are standby', false, [STANDBY, STANDBY]],
    ['unreachable', 'one is gone, the other one standby', false, [undefined, STANDBY]],
    ['unreachable', 'one is standby, the other one gone', false, [STANDBY, undefined]],
    ['server', 'one knows what is wrong, the other one is gone', true, [STARTING, undefined]],
    ['server', 'one is gone, the other one knows what is wrong', true, [undefined, STARTING]],
    ['server', 'one knows what is wrong, the other one is standby', true, [STARTING, STANDBY]],
  ] as const)('%s is said when %s', async (trouble, _, mayBeApplied, answers) => {
    const addresses: string[] = [];
    for (const answer of answers)
      addresses.push(answer === undefined ? await nowhere() : (await serve(answer)).address);
    expect(await failureOf(clientOf(addresses).rename('/a', '/b', {}))).toMatchObject({ trouble, mayBeApplied });
  });

  test('what one of them may have done is not forgotten when another one is asked', async () => {
    const [asleep, standby] = [await serve(silent), await serve(STANDBY)];
    const failing = failureOf(clientOf([asleep.address, standby.address]).rename('/a', '/b', {}));
    await heard(asleep, 1);
    await clock.advance(TIMEOUT_MS);
    expect(await failing).toMatchObject({ trouble: 'timeout', mayBeApplied: true });
  });

  test('none is asked any more when the caller has given up', async () => {
    const [asleep, other] = [await serve(silent), await serve(THERE)];
    const giveUp = new AbortController();
    const failing = failureOf(clientOf([asleep.address, other.address]).status('/f', { signal: giveUp.signal }));
    await heard(asleep, 1);
    giveUp.abort();
    expect(await failing).toMatchObject({ trouble: 'aborted' });
    expect(other.asked).toEqual([]);
    const late = await failureOf(clientOf([other.address]).status('/f', { signal: giveUp.signal }));
    expect(late).toMatchObject({ trouble: 'aborted', mayBeApplied: false });
    expect(other.asked).toEqual([]);
  });
});

describe('a connection', () => {
  test('is kept for reads, and asked anew when the other side had closed it meanwhile', async () => {
    const server = await serve(THERE);
    const client = clientOf([server.address]);
    await client.status('/f', {});
    await client.status('/f', {});
    expect(server.connections).toBe(1);
    server.answer = (request) => {
      server.answer = THERE;
      request.socket.destroy();
    };
    expect(await client.status('/f', {})).toEqual(FILE);
    expect(server.connections).toBe(2);
    expect(server.asked).toHaveLength(4);
  });

  test('that breaks when it was new is no such case', async () => {
    const server = await serve((request) => void request.socket.destroy());
    const error = await failureOf(clientOf([server.address]).status('/f', {}));
    expect(error).toMatchObject({ trouble: 'unreachable', mayBeApplied: true });
    expect(server.asked).toHaveLength(1);
  });

  test('is a new one for each change: of one that breaks nobody knows what was done', async () => {
    const server = await serve(json(200, { boolean: true }));
    const client = clientOf([server.address]);
    for (let i = 0; i < 3; i++) await client.makeDirectory('/d', {});
    expect(server.connections).toBe(3);
    server.answer = (request) => void request.socket.destroy();
    expect(await failureOf(client.rename('/a', '/b', {}))).toMatchObject({
      trouble: 'unreachable',
      mayBeApplied: true,
    });
    expect(server.asked).toHaveLength(4);
  });
});

describe('who asks', () => {
  const query = (server: LittleServer): Record<string, string> =>
    Object.fromEntries(new URL(server.requests[0]?.url ?? '', server.address).searchParams);

  test.each([
    [{ user: 'robust' }, { 'user.name': 'robust' }],
    [{ token: fixedToken('IAAEcm9v+/=') }, { delegation: 'IAAEcm9v+/=' }],
    [{}, {}],
  ] as const)('is sent: %j', async (own, sent) => {
    const server = await serve(THERE);
    await clientOf([server.address], own).status('/a b/ü+%', {});
    expect(query(server)).toEqual({ op: 'GETFILESTATUS', ...sent });
    expect(server.asked).toEqual(['GET GETFILESTATUS /a%20b/%C3%BC%2B%25']);
  });

  test("is proved by headers of one's own, to NameNode and DataNode", async () => {
    const dataNode = await serve(text(200, 'abc'));
    const nameNode = await serve(redirectTo(() => dataNode.address));
    const asked: string[] = [];
    const authorize: Authorize = async ({ method, url }) => {
      asked.push(`${method} ${new URL(url).host}`);
      return { authorization: `Negotiate ${asked.length}` };
    };
    const client = clientOf([nameNode.address], { authorize });
    await client.read('/f', 0, 3, {});
    expect(asked).toEqual([nameNode, dataNode].map(({ address }) => `GET ${new URL(address).host}`));
    const sent = ({ requests }: LittleServer): unknown => requests.at(-1)?.headers.authorization;
    expect([sent(nameNode), sent(dataNode)]).toEqual(['Negotiate 1', 'Negotiate 2']);
    const write = await client.create('/f', undefined, {});
    await write.write(Buffer.from('abc'), {});
    await write.end({});
    expect([sent(nameNode), sent(dataNode)]).toEqual(['Negotiate 3', 'Negotiate 4']);
  });

  test('is told when that fails, and nothing is sent', async () => {
    const server = await serve(THERE);
    const authorize: Authorize = () => {
      throw new Error('no ticket');
    };
    const error = await failureOf(clientOf([server.address], { authorize }).status('/f', {}));
    expect(error).toMatchObject({ trouble: 'credentials', mayBeApplied: false });
    expect(error.message).toContain('no ticket');
    expect(server.asked).toEqual([]);
  });

  test.each([
    ['a line end in it', () => ({ authorization: 'Negotiate a\n' })],
    ['nothing for a header', () => ({ authorization: undefined })],
    ['nothing at all', () => undefined],
  ])('is told when what it gives is no header: %s', async (_, gives) => {
    const server = await serve(THERE);
    // what a module gives is its author's word
    const client = clientOf([server.address], { authorize: gives as unknown as Authorize });
    for (const running of [client.status('/f', {}), client.create('/f', undefined, {})])
      expect(await failureOf(running)).toMatchObject({ trouble: 'credentials', mayBeApplied: false });
    expect(server.asked).toEqual([]);
  });

  test('is waited for no longer than a NameNode, for a DataNode, too', async () => {
    const nameNode = await serve(redirectTo(() => 'http://127.0.0.1:9'));
    let asked = 0;
    const authorize: Authorize = () => (asked++ === 0 ? {} : new Promise(() => {}));
    const creating = failureOf(clientOf([nameNode.address], { authorize }).create('/f', undefined, {}));
    while (asked < 2) await turn();
    await clock.advance(TIMEOUT_MS);
    expect(await creating).toMatchObject({ trouble: 'timeout' });
  });
});

describe('https', () => {
  const head = async (address: string, files: Partial<Record<'caFile' | 'certFile' | 'keyFile', string>>) => {
    const settings = settingsOf({ nameNodes: [address], ...files });
    const { store } = await backendOf(settings, clock);
    closing.push(() => store.close());
    return await store.head('c/medium');
  };

  test('is not spoken with a server that nobody knows', async () => {
    const server = await serve(THERE, 'server');
    const error = await failureOf(head(server.address, {}));
    expect(error).toMatchObject({ trouble: 'credentials', mayBeApplied: false, code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  test('is spoken with one that caFile knows', async () => {
    const server = await serve(json(200, { FileStatus: FILE, XAttrs: [] }), 'server');
    expect(await head(server.address, { caFile: CERT_FILE })).toEqual({ bytes: 3, uid: undefined });
  });

  test('is still spoken with those that Node knows', async () => {
    expect(trustedBeside('own')).toEqual([...getCACertificates(), 'own']);
    expect(await tlsOf(settingsOf({ nameNodes: [] }))).toEqual({});
  });

  test('shows a certificate where the server asks for one', async () => {
    const server = await serve(json(200, { FileStatus: FILE, XAttrs: [] }), 'mutual');
    expect(await failureOf(head(server.address, { caFile: CERT_FILE }))).toMatchObject({ trouble: expect.any(String) });
    const files = { caFile: CERT_FILE, certFile: CERT_FILE, keyFile: KEY_FILE };
    expect(await head(server.address, files)).toMatchObject({ bytes: 3 });
  });

  test.each([
    ['a key that is none', { certFile: CERT_FILE, keyFile: CERT_FILE }],
    ['a certificate that is none', { certFile: KEY_FILE, keyFile: KEY_FILE }],
  ])('is told when a file of it is something else: %s', async (_, files) => {
    await expect(head('https://127.0.0.1:1', files)).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      message: expect.stringContaining('can not be used'),
    });
  });

  test('is told when a file of it can not be read', async () => {
    const failing = head('https://127.0.0.1:1', { caFile: '/no/such.pem' });
    await expect(failing).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      message: '/no/such.pem can not be read',
    });
  });

  test('is gone over to when a NameNode says so', async () => {
    let stored = '';
    const dataNode = await serve((request, response) => {
      if (request.method === 'GET') return text(200, 'abc')(request, response);
      request.setEncoding('utf8').on('data', (chunk: string) => (stored += chunk));
      request.on('end', () => response.writeHead(201).end());
    }, 'server');
    const nameNode = await serve(redirectTo(() => dataNode.address));
    const client = clientOf([nameNode.address], { tls: await tlsOf(settingsOf({ nameNodes: [], caFile: CERT_FILE })) });
    expect(Buffer.from(await client.read('/f', 0, 3, {})).toString()).toBe('abc');
    const write = await client.create('/f', undefined, {});
    await write.write(Buffer.from('abc'), {});
    await write.end({});
    expect(stored).toBe('abc');
  });
});

describe('an answer', () => {
  test.each([
    ['text', text(200, '<html>It works!</html>')],
    ['nothing', text(200, '')],
    ['null', json(200, null)],
    ['a list', json(200, [])],
    ['another object', json(200, { status: 'ok' })],
    ['an object with other fields', json(200, { FileStatus: {}, FileStatuses: [], boolean: 'yes', XAttrs: [{}] })],
    [
      'an object with other fields in it',
      json(200, {
        FileStatus: { ...FILE, length: -0.5 },
        FileStatuses: { FileStatus: [null] },
        boolean: 1,
        XAttrs: {},
      }),
    ],
  ])('of %s is none of WebHDFS', async (_, answer) => {
    const client = clientOf([(await serve(answer)).address]);
    for (const asking of [
      client.status('/f', {}),
      client.list('/f', {}),
      client.makeDirectory('/f', {}),
      client.rename('/f', '/g', {}),
      client.delete('/f', { recursive: false }),
      client.attribute('/f', 'user.a', {}),
    ])
      expect(await failureOf(asking)).toMatchObject({ trouble: 'refused' });
  });

  test('of some text is none to what is answered with nothing', async () => {
    const client = clientOf([(await serve(text(200, '<html>It works!</html>'))).address]);
    for (const asking of [client.replace('/f', '/g', {}), client.setAttribute('/f', 'user.a', 'b', {})])
      expect(await failureOf(asking)).toMatchObject({ trouble: 'refused' });
  });

  test.each([
    ['text', text(200, '<html>It works!</html>')],
    ['nothing', text(201, '')],
    ['a redirect to nowhere', text(307, '', { location: 'http://' })],
    ['a redirect to something else', text(307, '', { location: 'ftp://dn1/f' })],
  ])('of %s is none where a DataNode should be named', async (_, answer) => {
    const client = clientOf([(await serve(answer)).address]);
    expect(await failureOf(client.create('/f', 1, {}))).toMatchObject({ trouble: 'refused' });
    expect(await failureOf(client.append('/f', {}))).toMatchObject({ trouble: 'refused' });
  });

  test('that is cut is none, and another NameNode may have a whole one', async () => {
    const cut: Answer = (request, response) => {
      request.resume();
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{"FileStatus":', () => void response.destroy());
    };
    const [first, second] = [await serve(cut), await serve(THERE)];
    expect(await failureOf(clientOf([first.address]).status('/f', {}))).toMatchObject({ trouble: 'unreachable' });
    expect(await clientOf([first.address, second.address]).status('/f', {})).toEqual(FILE);
  });

  test('that does not end is given up', async () => {
    const server = await serve((request, response) => {
      request.resume();
      response.writeHead(200).write('{');
    });
    const failing = failureOf(clientOf([server.address]).status('/f', {}));
    await heard(server, 1);
    await clock.advance(TIMEOUT_MS);
    expect(await failing).toMatchObject({ trouble: 'timeout' });
  });

  test('that is huge is not kept', async () => {
    const flood: Answer = (request, response) => {
      request.resume();
      response.on('error', () => {}); // nobody listens any more
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20, ' ')));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    };
    const client = clientOf([(await serve(flood)).address]);
    expect(await failureOf(client.list('/f', {}))).toMatchObject({ trouble: 'refused' });
    expect(await failureOf(client.read('/f', 0, 1000, {}))).toMatchObject({ trouble: 'refused' });
  });

  test('that refuses at great length is told by its status', async () => {
    const client = clientOf([(await serve(refusal(403, 'SafeModeException', 'x'.repeat(1 << 20)))).address]);
    const error = await failureOf(client.makeDirectory('/d', {}));
    expect(error.trouble).toBe('denied');
    expect(error.message.length).toBeLessThan(200);
  });
});

describe('data', () => {
  async function withDataNode(answer: Answer): Promise<{ client: WebHdfs; dataNode: LittleServer }> {
    const dataNode = await serve(answer);
    const nameNode = await serve(redirectTo(() => dataNode.address));
    return { client: clientOf([nameNode.address]), dataNode };
  }

  test('is read from the DataNode that is named, or from a gateway that names none', async () => {
    const { client, dataNode } = await withDataNode(text(200, 'abc'));
    expect(Buffer.from(await client.read('/f', 7, 3, {})).toString()).toBe('abc');
    expect(dataNode.requests[0]?.url).toContain('offset=7&length=3');
    const gateway = clientOf([(await serve(text(200, 'abc'))).address]);
    expect(Buffer.from(await gateway.read('/f', 7, 3, {})).toString()).toBe('abc');
  });

  test.each([
    ['fewer bytes than were asked for', 'truncated', text(200, 'ab')],
    ['more bytes than were asked for', 'refused', text(200, 'abcd')],
    ['an end that came too early', 'unreachable', cutAfter('ab', 3)],
    ['nothing any more', 'truncated', refusal(403, 'IOException', 'Offset=7 out of the range [0, 5); OPEN, path=/f')],
    ['no such file', 'not-found', refusal(404, 'FileNotFoundException', 'File does not exist: /f')],
    ['no such block', 'server', refusal(403, 'BlockMissingException', 'Could not obtain block')],
    ['another redirect', 'refused', text(307, '', { location: 'http://127.0.0.1:1/' })],
  ] as const)('of which the DataNode has %s is %s', async (_, trouble, answer) => {
    const { client } = await withDataNode(answer);
    expect(await failureOf(client.read('/f', 7, 3, {}))).toMatchObject({ trouble });
  });

  test('is not to be had from a DataNode that can not be reached', async () => {
    const gone = await nowhere();
    const nameNode = await serve(redirectTo(() => gone));
    const client = clientOf([nameNode.address]);
    const host = new URL(gone).host;
    const read = await failureOf(client.read('/f', 0, 3, {}));
    expect(read).toMatchObject({ trouble: 'unreachable', message: expect.stringContaining(host) });
    const write = await client.create('/f', undefined, {});
    const failure = await failureOf(write.write(Buffer.from('abc'), {}).then(() => write.end({})));
    expect(failure).toMatchObject({
      trouble: 'unreachable',
      mayBeApplied: false,
      message: expect.stringContaining(host),
    });
  });

  test('is written as it is given, also to one that says "continue" without being asked', async () => {
    const stored: Buffer[] = [];
    const { client } = await withDataNode((request, response) => {
      response.writeContinue();
      request.on('data', (chunk: Buffer) => stored.push(chunk));
      request.on('end', () => response.writeHead(201).end());
    });
    const body = Buffer.alloc(3_000_001, 'some bytes');
    const write = await client.create('/f', 2, {});
    await write.write(body.subarray(0, 2_500_000), {});
    await write.write(Buffer.alloc(0), {});
    await write.write(body.subarray(2_500_000), {});
    await write.end({});
    expect(Buffer.concat(stored).equals(body)).toBe(true);
  });

  test.each([
    ['reads on', (request: IncomingMessage) => void request.resume()],
    ['hears no more', () => {}],
    ['hangs up', (request: IncomingMessage) => void request.socket.destroySoon()],
  ])('that is refused in the middle tells why, when the DataNode then %s', async (_, then) => {
    const { client } = await withDataNode((request, response) => {
      request.once('data', () => {
        request.pause();
        refusal(
          403,
          'DSQuotaExceededException',
          'The DiskSpace quota of /q is exceeded',
        )(
          { resume: () => {} } as IncomingMessage, // it is not read any further here
          response,
        );
        response.once('finish', () => then(request));
      });
    });
    const write = await client.append('/f', {});
    const failure = await failureOf(
      (async () => {
        for (let i = 0; i < 32; i++) await write.write(Buffer.alloc(1 << 20), {});
        await write.end({});
      })(),
    );
    expect(failure).toMatchObject({ trouble: 'full', code: 'DSQuotaExceededException' });
  });

  test('is not written when it was answered before all had been sent, whatever the answer', async () => {
    const { client } = await withDataNode((request, response) => {
      request.once('data', () => {
        request.resume();
        response.writeHead(201).end();
      });
    });
    const write = await client.create('/f', undefined, {});
    for (let i = 0; i < 32; i++) await write.write(Buffer.alloc(1 << 20), {});
    expect(await failureOf(write.end({}))).toMatchObject({ trouble: 'server', mayBeApplied: true });
  });

  test('that is not taken is given up', async () => {
    const { client, dataNode } = await withDataNode(() => {});
    const write = await client.append('/f', {});
    const failing = failureOf(
      (async () => {
        for (let i = 0; i < 64; i++) await write.write(Buffer.alloc(1 << 20), {});
      })(),
    );
    await heard(dataNode, 1);
    let isSettled = false;
    void failing.then(() => (isSettled = true));
    while (!isSettled) {
      await clock.advance(TIMEOUT_MS / 10);
      await turn();
    }
    expect(await failing).toMatchObject({ trouble: 'timeout', mayBeApplied: true });
  });

  test('that is not acknowledged is given up', async () => {
    const { client, dataNode } = await withDataNode(silent);
    const write = await client.append('/f', {});
    await write.write(Buffer.from('abc'), {});
    const failing = failureOf(write.end({}));
    await heard(dataNode, 1);
    await clock.advance(TIMEOUT_MS);
    expect(await failing).toMatchObject({ trouble: 'timeout', mayBeApplied: true });
  });
});

function cutAfter(body: string, bytes: number): Answer {
  return (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-length': bytes });
    response.write(body, () => void response.destroy());
  };
}
