import type { ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { systemClock, systemRandom } from '@robustmq/core';
import { afterEach, describe, expect, test } from 'vitest';
import type { ObjectStore, StoreError } from '../../../objects/src/store/port.ts';
import { Bucket } from '../../../objects/test/support/bucket.ts';
import type { S3Settings } from '../../src/settings.ts';
import { openStore } from '../../src/store/store.ts';
import { HttpStore, sendError, type WireRequest } from '../support/http-store.ts';
import { settingsOf } from '../support/settings.ts';

type Interfere = (request: WireRequest, response: ServerResponse) => boolean | Promise<boolean>;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(
  client: 'aws' | 'minio',
  interfere: Interfere = () => false,
  own: Partial<S3Settings> = {},
): Promise<{ readonly store: ObjectStore; readonly http: HttpStore; readonly bucket: Bucket }> {
  const bucket = new Bucket({ clock: systemClock, random: systemRandom });
  const http = await HttpStore.start({ bucket, interfere });
  closing.push(() => http.close());
  return { store: await connect(client, http.endpoint, own), http, bucket };
}

async function connect(client: 'aws' | 'minio', endpoint: string, own: Partial<S3Settings> = {}): Promise<ObjectStore> {
  const keys = { accessKeyId: 'key', secretAccessKey: 'secret' };
  const store = await openStore(settingsOf({ endpoint, client, requestTimeoutMs: 5000, ...keys, ...own }), systemClock);
  closing.push(() => store.close());
  return store;
}

async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  return await promise.then(
    () => {
      throw new Error('it went well');
    },
    (error: StoreError) => error,
  );
}

const body = [Buffer.from('0123456789')];

describe.each(['aws', 'minio'] as const)('the client %s', (client) => {
  test.each([
    [404, 'NoSuchBucket', 'no-bucket', false],
    [403, 'AccessDenied', 'denied', false],
    [403, 'InvalidAccessKeyId', 'credentials', false],
    [403, 'SignatureDoesNotMatch', 'credentials', false],
    [400, 'ExpiredToken', 'expired', false],
    [403, 'RequestTimeTooSkewed', 'clock-skew', false],
    [301, 'PermanentRedirect', 'wrong-region', false],
    [400, 'AuthorizationHeaderMalformed', 'wrong-region', false],
    [409, 'ConditionalRequestConflict', 'conflict', false],
    [412, 'PreconditionFailed', 'exists', false],
    [503, 'SlowDown', 'slow-down', true],
    [503, 'SlowDownWrite', 'slow-down', true],
    [429, 'TooManyRequests', 'slow-down', true],
    [500, 'InternalError', 'server', true],
    [507, 'XMinioStorageFull', 'full', false],
    [400, 'XMinioAdminBucketQuotaExceeded', 'full', false],
    [400, 'InvalidStorageClass', 'refused', false],
    [501, 'NotImplemented', 'refused', false],
    [400, 'BadDigest', 'unreachable', true],
    [400, 'RequestTimeout', 'timeout', true],
  ] as const)('takes %d %s for %s', async (status, code, trouble, mayBeApplied) => {
    const { store } = await open(client, (_, response) => {
      sendError(response, status, code);
      return true;
    });
    const failure = await failureOf(store.put('a', body, { uid: 'u' }));
    expect(failure).toMatchObject({ name: 'StoreError', trouble, mayBeApplied, code, status });
    expect(failure.message).toContain(`said ${code}`);
  });

  test.each([
    [403, 'denied'],
    [400, 'refused'],
    [412, 'exists'],
    [500, 'server'],
    [503, 'slow-down'],
    [429, 'slow-down'],
    [301, 'wrong-region'],
  ] as const)('goes by the status %d where there is no body', async (status, trouble) => {
    const { store } = await open(client, (_, response) => {
      response.writeHead(status).end();
      return true;
    });
    expect(await failureOf(store.head('a'))).toMatchObject({ name: 'StoreError', trouble, status });
    expect(await failureOf(store.put('a', body, { uid: 'u' }))).toMatchObject({ name: 'StoreError', trouble, status });
  });

  test('understands an answer that is not the store’s own', async () => {
    const { store } = await open(client, (_, response) => {
      response.writeHead(502, { 'Content-Type': 'text/html' }).end('<html><body>Bad Gateway<br></body></html>');
      return true;
    });
    expect(await failureOf(store.put('a', body, { uid: 'u' }))).toMatchObject({
      trouble: 'server',
      mayBeApplied: true,
    });
    expect(await failureOf(store.getRange('a', 0, 1))).toMatchObject({ trouble: 'server' });
  });

  test('sends each request once, whatever comes of it', async () => {
    const { store, http } = await open(client, (request, response) => {
      if (request.key === 'cut') response.socket?.destroy();
      else sendError(response, 503, 'SlowDown', request.method);
      return true;
    });
    await failureOf(store.put('a', body, { uid: 'u' }));
    await failureOf(store.getRange('a', 0, 1));
    await failureOf(store.head('a'));
    await failureOf(store.list({ prefix: '', limit: 1 }));
    await failureOf(store.delete('a'));
    await failureOf(store.put('cut', body, { uid: 'u' }));
    expect(http.requests.map(({ method }) => method)).toEqual(['PUT', 'GET', 'HEAD', 'GET', 'DELETE', 'PUT']);
  });

  test('knows that nothing was sent where nobody listens', async () => {
    const { http } = await open(client);
    const { endpoint } = http;
    await http.close();
    const store = await connect(client, endpoint);
    expect(await failureOf(store.put('a', body, { uid: 'u' }))).toMatchObject({
      trouble: 'unreachable',
      mayBeApplied: false,
      code: 'ECONNREFUSED',
    });
  });

  test('does not know what became of a request whose connection was cut', async () => {
    const { store, bucket } = await open(client, (request, response) => {
      bucket.put(request.key, request.body, 'u');
      response.socket?.destroy();
      return true;
    });
    expect(await failureOf(store.put('a', body, { uid: 'u' }))).toMatchObject({
      trouble: 'unreachable',
      mayBeApplied: true,
    });
    expect(bucket.objects.has('a')).toBe(true);
  });

  test('says that somebody who speaks no HTTP is no store', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    const store = await connect(client, await listening(server));
    expect(await failureOf(store.put('a', body, { uid: 'u' }))).toMatchObject({ trouble: 'unreachable' });
  });

  test('gives up in time, whether no answer comes, half of one, or the body stops', async () => {
    const timing = { requestTimeoutMs: 200 };
    const { store, http } = await open(
      client,
      ({ key }, response) => {
        if (key === 'headers')
          response.writeHead(206, { 'Content-Range': 'bytes 0-9/10', 'Content-Length': 10 }).flushHeaders();
        if (key === 'body')
          response.writeHead(206, { 'Content-Range': 'bytes 0-9/10', 'Content-Length': 10 }).write('01234');
        return true;
      },
      timing,
    );
    for (const key of ['nothing', 'headers', 'body'])
      expect(await failureOf(store.getRange(key, 0, 10)), key).toMatchObject({ trouble: 'timeout' });
    expect(await failureOf(store.put('nothing', body, { uid: 'u' }))).toMatchObject({
      trouble: 'timeout',
      mayBeApplied: true,
    });
    await expect.poll(() => http.connections()).toBe(0);
  });

  test('ends at once when its caller gives up, in the middle of everything', async () => {
    let arrived = (): void => {};
    const { store, http } = await open(client, ({ key }, response) => {
      if (key === 'body')
        response.writeHead(206, { 'Content-Range': 'bytes 0-9/10', 'Content-Length': 10 }).write('01234');
      arrived();
      return true;
    });
    for (const ask of [
      (signal: AbortSignal) => store.put('a', body, { uid: 'u', signal }),
      (signal: AbortSignal) => store.getRange('body', 0, 10, { signal }),
      (signal: AbortSignal) => store.list({ prefix: '', limit: 1, signal }),
    ]) {
      const giving = new AbortController();
      const asked = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const failing = failureOf(ask(giving.signal));
      await asked;
      giving.abort();
      expect(await failing).toMatchObject({ trouble: 'aborted', mayBeApplied: true });
    }
    await expect.poll(() => http.connections()).toBe(0);
  });

  test.each([
    ['the whole object in place of a range', 200, {}, '0123456789', 'wrong-range'],
    ['a range that begins elsewhere', 206, { 'Content-Range': 'bytes 3-5/10' }, '345', 'wrong-range'],
    ['no word about the range', 206, {}, '234', 'wrong-range'],
    ['a range that says nonsense', 206, { 'Content-Range': 'bytes x-y/z' }, '234', 'wrong-range'],
    ['too many bytes', 206, { 'Content-Range': 'bytes 2-5/10' }, '2345', 'wrong-range'],
    ['more bytes than it says', 206, { 'Content-Range': 'bytes 2-4/10' }, '23456789', 'wrong-range'],
    ['fewer bytes', 206, { 'Content-Range': 'bytes 2-3/4' }, '23', 'truncated'],
    ['fewer bytes than it says', 206, { 'Content-Range': 'bytes 2-4/10' }, '23', 'truncated'],
  ] as const)('refuses %s', async (_, status, headers, text, trouble) => {
    const { store } = await open(client, (__, response) => {
      response.writeHead(status, headers).end(text);
      return true;
    });
    expect(await failureOf(store.getRange('a', 2, 3))).toMatchObject({ trouble });
  });

  test.each([
    ['the middle in place of the end', 206, { 'Content-Range': 'bytes 2-4/10' }, '234', 'wrong-range'],
    ['the whole object in place of its end', 200, {}, '0123456789', 'wrong-range'],
    ['fewer bytes than it says', 206, { 'Content-Range': 'bytes 7-9/10' }, '78', 'truncated'],
  ] as const)('refuses as a tail %s', async (_, status, headers, text, trouble) => {
    const { store } = await open(client, (__, response) => {
      response.writeHead(status, headers).end(text);
      return true;
    });
    expect(await failureOf(store.getTail('a', 3))).toMatchObject({ trouble });
  });

  test('takes the whole object for the tail of one that is shorter', async () => {
    const { store } = await open(client, (_, response) => {
      response.writeHead(200).end('01');
      return true;
    });
    expect(await store.getTail('a', 3)).toMatchObject({ size: 2 });
  });

  test('sees that the connection was cut in the middle of a body', async () => {
    const { store, http } = await open(client, (_, response) => {
      response.writeHead(206, { 'Content-Range': 'bytes 0-9/10', 'Content-Length': 10 });
      response.write('01234', () => response.socket?.destroy());
      return true;
    });
    expect(['unreachable', 'truncated']).toContain((await failureOf(store.getRange('a', 0, 10))).trouble);
    await expect.poll(() => http.connections()).toBe(0);
  });

  test('is not deceived by a completion that says 200 and then fails', async () => {
    const { store } = await open(client, ({ query }, response) => {
      if (!query.has('uploadId')) return false;
      response
        .writeHead(200)
        .end('<?xml version="1.0"?>\n<Error><Code>InternalError</Code><Message>x</Message></Error>');
      return true;
    });
    expect(await failureOf(store.completeUpload('a', 'upload', ['"1"']))).toMatchObject({
      trouble: 'server',
      mayBeApplied: true,
    });
  });

  test('uses one connection again for what comes after another, also after an error', async () => {
    const { store, http } = await open(client, ({ key, method }, response) => {
      if (key !== 'denied') return false;
      sendError(response, 403, 'AccessDenied', method);
      return true;
    });
    for (let i = 0; i < 5; i++) {
      await store.put(`a${i}`, body, { uid: 'u' });
      await store.getRange(`a${i}`, 0, 10);
      await store.head('none');
      await failureOf(store.put('denied', body, { uid: 'u' }));
    }
    expect(await http.connections()).toBe(1);
  });

  test('sends what the settings say with each new object, and no header that costs a turn', async () => {
    const { store, http } = await open(client, undefined, {
      serverSideEncryption: 'aws:kms',
      kmsKeyId: 'a-key',
      storageClass: 'STANDARD_IA',
      tags: { team: 'data & ops', tier: 'cold' },
    });
    await store.put('a', [Buffer.alloc(3 * 1024 * 1024)], { uid: 'the-uid' });
    await store.beginUpload('b', { uid: 'the-uid' });
    expect(http.requests).toHaveLength(2);
    for (const { headers } of http.requests) {
      expect(headers).toMatchObject({
        'x-amz-meta-uid': 'the-uid',
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'a-key',
        'x-amz-storage-class': 'STANDARD_IA',
        'x-amz-tagging': 'team=data+%26+ops&tier=cold',
        authorization: expect.stringContaining('Credential=key/'),
      });
      for (const name of ['expect', 'if-none-match', 'x-amz-checksum-crc32', 'content-encoding', 'transfer-encoding'])
        expect(headers, name).not.toHaveProperty(name);
    }
  });
});

async function listening(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // the client hangs up
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}
