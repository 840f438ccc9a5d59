import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type S3Moment, type S3Proxy, s3Proxy } from './real/s3-proxy.ts';
import type { S3Request } from './real/s3-request.ts';

/** An object of ten bytes under every key, and how often the server was asked. */
const BODY = Buffer.from('0123456789');
let server: Server;
let proxy: S3Proxy;
let asked: string[];
let hosts: (string | undefined)[];
/** Requests that ended in the middle of their body. */
let cut: string[];
let target: { readonly host: string; readonly port: number };

beforeEach(async () => {
  asked = [];
  hosts = [];
  cut = [];
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    hosts.push(request.headers.host);
    request.on('close', () => {
      if (!request.complete) cut.push(request.url ?? '');
    });
    request.resume().on('end', () => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (request.url?.includes('list-type')) response.end(`list ${asked.length}`);
      else if (from === undefined) response.end(BODY);
      else {
        const part = BODY.subarray(Number(from), Number(to) + 1);
        response.writeHead(206, { 'content-range': `bytes ${from}-${to}/10`, 'content-length': part.length });
        response.end(part);
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  target = { host: '127.0.0.1', port: address.port };
  proxy = await s3Proxy(target);
});
afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  server.close();
});

const ask = (path: string, init?: RequestInit): Promise<Response> => fetch(proxy.endpoint + path, init);
const put = (path: string): Promise<Response> => ask(path, { method: 'PUT', body: 'x' });

test('says what each request is, and forwards it with the Host that the client has signed', async () => {
  await put('/b/a%20b/1');
  await put('/b/big?partNumber=1&uploadId=u');
  await ask('/b/big?uploads', { method: 'POST' });
  await ask('/b/big?uploadId=u', { method: 'POST', body: 'x' });
  await ask('/b/big?uploadId=u', { method: 'DELETE' });
  await ask('/b/a%20b/1', { method: 'HEAD' });
  await ask('/b/a%20b/1', { method: 'DELETE' });
  await ask('/b?delete', { method: 'POST', body: 'x' });
  await ask('/b/?list-type=2&prefix=a%20b%2F');
  await ask('/b?location');
  expect(proxy.requests.map(({ kind, key }) => `${kind} ${key}`)).toEqual([
    'PUT a b/1',
    'PART big',
    'MULTIPART-BEGIN big',
    'MULTIPART-END big',
    'MULTIPART-ABORT big',
    'HEAD a b/1',
    'DELETE a b/1',
    'DELETE-MANY ',
    'LIST a b/',
    'BUCKET ',
  ]);
  expect(proxy.count('a b/')).toEqual({ PUT: 1, HEAD: 1, DELETE: 1, LIST: 1 });
  expect(asked).toHaveLength(10);
  expect(new Set(hosts)).toEqual(new Set([`127.0.0.1:${proxy.port}`]));
});

test('loses the reply to the second match alone, and the server has carried it out', async () => {
  const acted = proxy.rule({ kind: 'PUT', key: /^wal\//, nth: 2, fault: { how: 'lose-reply' } });
  expect((await put('/b/wal/1')).status).toBe(200);
  expect((await put('/b/other')).status).toBe(200);
  await expect(put('/b/wal/2')).rejects.toThrow();
  expect((await put('/b/wal/3')).status).toBe(200);
  expect(acted()).toBe(1);
  expect(asked.filter((line) => line === 'PUT /b/wal/2')).toHaveLength(1);
});

test('refuses by itself, onwards until it heals', async () => {
  proxy.rule({ kind: 'PUT', onwards: true, fault: { how: 'refuse', status: 503, code: 'SlowDown' } });
  for (let i = 0; i < 3; i++) {
    const reply = await put('/b/k');
    expect(reply.status).toBe(503);
    expect(await reply.text()).toContain('<Code>SlowDown</Code>');
  }
  expect(asked).toEqual([]);
  proxy.heal();
  expect((await put('/b/k')).status).toBe(200);
});

test('holds a reply until it heals', async () => {
  proxy.rule({ fault: { how: 'hold-reply' } });
  let answered = false;
  const reply = put('/b/k').then((response) => {
    answered = true;
    return response;
  });
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  // another request goes all the way meanwhile
  expect((await put('/b/other')).status).toBe(200);
  expect(answered).toBe(false);
  proxy.heal();
  expect((await reply).status).toBe(200);
});

test('cuts a body in the middle', async () => {
  proxy.rule({ kind: 'GET', fault: { how: 'truncate' } });
  const reply = await ask('/b/k', { headers: { range: 'bytes=0-9' } });
  expect(reply.headers.get('content-length')).toBe('10');
  await expect(reply.text()).rejects.toThrow();
});

test('answers another range than it says', async () => {
  const range = { headers: { range: 'bytes=2-5' } };
  proxy.rule({ kind: 'GET', fault: { how: 'shift-range' } });
  const reply = await ask('/b/k', range);
  expect([reply.status, reply.headers.get('content-range'), await reply.text()]).toEqual([206, 'bytes 2-5/10', '3452']);
  expect(await (await ask('/b/k', range)).text()).toBe('2345');
});

test('answers with the object from its start where a range was asked for', async () => {
  proxy.rule({ kind: 'GET', fault: { how: 'ignore-range' } });
  const reply = await ask('/b/k', { headers: { range: 'bytes=2-5' } });
  expect([reply.status, reply.headers.get('content-range'), await reply.text()]).toEqual([
    200,
    null,
    '\0\x002345\0\0\0\0',
  ]);
});

test('gives a LIST of long ago', async () => {
  const list = async (): Promise<string> => (await ask('/b?list-type=2&prefix=a')).text();
  expect(await list()).toBe('list 1');
  expect(await list()).toBe('list 2');
  proxy.rule({ kind: 'LIST', fault: { how: 'stale-list' } });
  expect(await list()).toBe('list 1');
  expect(await list()).toBe('list 3');
});

test('a server that is gone is a connection that ends', async () => {
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  await expect(put('/b/k')).rejects.toThrow();
});

test('stops at each moment of a request, and in the middle of a part', async () => {
  const moments: string[] = [];
  const pause = async ({ kind }: S3Request, moment: S3Moment): Promise<void> => {
    // what was sent of the part comes to the server before the rest of it
    if (moment === 'half') await vi.waitFor(() => expect(asked).toHaveLength(1));
    moments.push(`${kind} ${moment}`);
  };
  const slow = await s3Proxy(target, { pause });
  try {
    for (const path of ['big?partNumber=1&uploadId=u', 'k'])
      expect((await fetch(`${slow.endpoint}/b/${path}`, { method: 'PUT', body: 'xy' })).status).toBe(200);
    await vi.waitFor(() => expect(moments).toHaveLength(7));
    expect(moments.slice(0, 4)).toEqual(['PART asked', 'PART half', 'PART done', 'PART answered']);
    expect(moments.slice(4)).toEqual(['PUT asked', 'PUT done', 'PUT answered']);
    expect(cut).toEqual([]);
  } finally {
    await slow.close();
  }
});

test('a client that goes in the middle of a part takes its request with it', async () => {
  const never = new Promise<void>(() => {});
  const slow = await s3Proxy(target, { pause: (_, moment) => (moment === 'half' ? never : undefined) });
  try {
    const client = new AbortController();
    const part = { method: 'PUT', body: 'xy', signal: client.signal };
    const put = fetch(`${slow.endpoint}/b/big?partNumber=1&uploadId=u`, part);
    const gone = expect(put).rejects.toThrow();
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    client.abort();
    await gone;
    await vi.waitFor(() => expect(cut).toHaveLength(1));
  } finally {
    await slow.close();
  }
});
