import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type FlakyProxy, flakyProxy, LinkFaults } from '@robustmq/conformance';
import { type Clock, systemClock } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { expect, onTestFinished, test } from 'vitest';

interface World {
  readonly proxy: FlakyProxy;
  /** Bodies of the requests that the service has got whole. */
  readonly served: string[];
  put(body: string): Promise<string>;
}

async function world(seed = 1, faults = new LinkFaults(), clock: Clock = systemClock): Promise<World> {
  const served: string[] = [];
  const server = createServer((incoming, reply) => {
    let body = '';
    incoming.on('data', (piece) => {
      body += piece;
    });
    incoming.on('end', () => {
      served.push(body);
      reply.end(`got ${body.length}`);
    });
    incoming.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await flakyProxy({ port: (server.address() as AddressInfo).port, seed, faults, clock });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(async () => {
    agent.destroy();
    await proxy.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const put = (body: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: proxy.host, port: proxy.port, method: 'PUT', agent }, (reply) => {
        let answer = '';
        reply.on('data', (piece) => {
          answer += piece;
        });
        reply.on('end', () => resolve(answer));
        reply.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  return { proxy, served, put };
}

const BODY = 'x'.repeat(300_000);

test('passes everything on and counts requests, on one connection or several', async () => {
  const { proxy, served, put } = await world();
  expect(await put('one')).toBe('got 3');
  expect(await put(BODY)).toBe('got 300000');
  expect(await put('three')).toBe('got 5');
  expect([proxy.requests, served.length]).toEqual([3, 3]);
});

test('refuses the one request it was told: the service never sees it', async () => {
  const { proxy, served, put } = await world();
  const hits = proxy.fail(2, { how: 'refuse' });
  expect(await put('one')).toBe('got 3');
  await expect(put('two')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(await put('three')).toBe('got 5');
  expect([hits(), served]).toEqual([1, ['one', 'three']]);
});

test('cuts a request in the middle, at the same place for the same seed', async () => {
  const { proxy, served, put } = await world(7);
  proxy.fail(1, { how: 'cut' });
  await expect(put(BODY)).rejects.toThrow();
  expect(await put('again')).toBe('got 5');
  expect(served).toEqual(['again']);
});

test('drops a reply when the request was carried out', async () => {
  const { proxy, served, put } = await world();
  const hits = proxy.fail(1, { how: 'drop-reply', every: 2 });
  await expect(put('one')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(await put('two')).toBe('got 3');
  await expect(put('three')).rejects.toMatchObject({ code: 'ECONNRESET' });
  proxy.heal();
  expect(await put('four')).toBe('got 4');
  expect([hits(), served]).toEqual([2, ['one', 'two', 'three', 'four']]);
});

test('holds a reply until it is healed, or for a while', async () => {
  const { proxy, served, put } = await world();
  proxy.fail(1, { how: 'delay' });
  let answer: string | undefined;
  const held = put('one').then((text) => {
    answer = text;
  });
  while (served.length === 0) await new Promise(setImmediate);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(answer).toBeUndefined();
  proxy.heal();
  await held;
  expect(answer).toBe('got 3');
  proxy.fail(1, { how: 'delay', forMs: 10 });
  expect(await put('two')).toBe('got 3');
});

test('holds a request: it arrives all the same when who sent it is gone, or the proxy is cut', async () => {
  const { proxy, served, put } = await world();
  for (const goAway of [() => {}, () => proxy.cut()]) {
    const before = served.length;
    const hits = proxy.fail(1, { how: 'delay-request' });
    const sending = put('held').catch((error: { code?: string }) => error.code);
    while (hits() === 0) await new Promise(setImmediate);
    expect(proxy.held).toBe(1);
    goAway();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(served.length).toBe(before);
    proxy.heal();
    while (proxy.held > 0) await new Promise(setImmediate);
    expect(await sending).toBe(before === 0 ? 'got 4' : 'ECONNRESET');
    expect(served.length).toBe(before + 1);
  }
});

test('a request that is held for a while arrives by itself, and so does a large one', async () => {
  const { proxy, served, put } = await world();
  const large = 'x'.repeat(20_000_000);
  proxy.fail(1, { how: 'delay-request', forMs: 10 });
  expect(await put('one')).toBe('got 3');
  proxy.fail(1, { how: 'delay-request', forMs: 200 });
  expect(await put(large)).toBe('got 20000000');
  expect([proxy.held, proxy.arrived, served.length]).toEqual([0, 2, 2]);
});

test('half a request that is held and let go is not waited for without end when its client has gone', async () => {
  const clock = new VirtualClock();
  const { proxy, served } = await world(1, new LinkFaults(), clock);
  proxy.fail(1, { how: 'delay-request' });
  const client = connect(proxy.port, proxy.host);
  client.on('error', () => {});
  client.write('PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf');
  while (proxy.held === 0) await new Promise(setImmediate);
  client.destroy();
  await new Promise((resolve) => setTimeout(resolve, 20));
  proxy.heal();
  expect(proxy.held).toBe(1);
  await clock.advance(5000);
  expect([proxy.held, proxy.arrived, served.length]).toEqual([0, 0, 0]);
});

test('once cut nothing gets through, nor later, and the port stays taken', async () => {
  const { proxy, served, put } = await world();
  proxy.fail(2, { how: 'delay' });
  await put('one');
  const waiting = put('two').catch((error: { code?: string }) => error.code);
  while (served.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  proxy.cut();
  expect(await waiting).toMatch(/^E/);
  for (let i = 0; i < 3; i++) await expect(put('more')).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
  expect(served).toEqual(['one', 'two']);
  expect(proxy.port).toBeGreaterThan(0);
});

test('several share one count of requests and one fault', async () => {
  const faults = new LinkFaults();
  const [one, other] = [await world(1, faults), await world(1, faults)];
  const hits = one.proxy.fail(3, { how: 'refuse' });
  await one.put('1');
  await other.put('2');
  expect(hits()).toBe(0);
  await expect(other.put('3')).rejects.toThrow();
  expect([hits(), one.proxy.requests, other.proxy.requests]).toEqual([1, 3, 3]);
});
