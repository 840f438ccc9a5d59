import { MemoryShare } from '@robustmq/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CoreClient, framed, settled } from './support/core-client.ts';
import { fetchOne, produceTo } from './support/requests.ts';

const API_VERSIONS = 18;
const METADATA = 3;

describe('a connection', () => {
  it('answers requests in their order, however they arrive in pieces', async () => {
    const client = new CoreClient();
    await client.storage.createTopic('t');
    const stream = Buffer.concat([
      client.frame(API_VERSIONS, 0, {}),
      client.frame(METADATA, 1, { topics: [{ name: 't' }] }),
      client.frame(API_VERSIONS, 3, { clientSoftwareName: 'a', clientSoftwareVersion: '1' }),
    ]);
    for (const byte of stream) client.connection.receive(Buffer.from([byte]));
    await settled();
    expect(client.correlationIds()).toEqual([1, 2, 3]);
  });

  it('answers in order when a later request is done first', async () => {
    const client = new CoreClient();
    const topic = await client.storage.createTopic('t');
    let go = (): void => {};
    client.storage.shard(topic, 0).gate = new Promise((resolve) => {
      go = resolve;
    });
    client.send(0, 7, produceTo('t'));
    client.send(API_VERSIONS, 0, {});
    await settled();
    expect(client.frames).toEqual([]);
    go();
    await settled();
    expect(client.correlationIds()).toEqual([1, 2]);
  });

  it('works on a bounded number of requests and stops reading beyond it', async () => {
    const client = new CoreClient({ settings: { maxInFlightPerConnection: 2 } });
    const topic = await client.storage.createTopic('t');
    let go = (): void => {};
    client.storage.shard(topic, 0).gate = new Promise((resolve) => {
      go = resolve;
    });
    for (let i = 0; i < 5; i++) client.send(0, 7, produceTo('t'));
    await settled();
    expect(client.connection.inFlight).toBe(2);
    expect(client.reading).toBe(false);
    expect(client.storage.shard(topic, 0).given.length).toBe(2);
    client.storage.shard(topic, 0).gate = undefined;
    go();
    await settled();
    expect(client.correlationIds()).toEqual([1, 2, 3, 4, 5]);
    expect(client.reading).toBe(true);
  });

  it('takes nothing while the memory of the node is used up, and goes on when there is room', async () => {
    const memory = new MemoryShare('in flight', 1000);
    memory.tryTake(990);
    const client = new CoreClient({ memory });
    await client.storage.createTopic('t');
    client.send(0, 7, produceTo('t'));
    client.send(API_VERSIONS, 0, {});
    await settled();
    expect(client.connection.inFlight).toBe(0);
    expect(client.reading).toBe(false);
    // who does not carry data is not kept out
    const other = new CoreClient({ memory });
    await other.call(API_VERSIONS, 0, {});
    memory.give(990);
    await settled();
    expect(client.correlationIds()).toEqual([1, 2]);
    expect(client.reading).toBe(true);
    expect(memory.used).toBe(0);
  });

  it('takes nothing while its client does not read, and gives its record bytes back at the end', async () => {
    const client = new CoreClient();
    await client.storage.createTopic('t');
    await client.call(0, 7, produceTo('t'));
    client.send(1, 11, fetchOne('t', 0));
    await settled();
    const held = client.services.output.held;
    expect(held).toBe(client.heldBytes);
    expect(held).toBeGreaterThan(0);
    client.connection.outputFull(true);
    client.send(API_VERSIONS, 0, {});
    expect(client.connection.inFlight).toBe(0);
    expect(client.reading).toBe(false);
    client.connection.outputFull(false);
    expect(client.reading).toBe(true);
    expect(client.correlationIds()).toEqual([2, 3]);
  });

  it('gives back everything it holds when it is closed in the middle of things', async () => {
    const memory = new MemoryShare('in flight', 1_000_000);
    const client = new CoreClient({ memory });
    const topic = await client.storage.createTopic('t');
    let go = (): void => {};
    client.storage.shard(topic, 0).gate = new Promise((resolve) => {
      go = resolve;
    });
    client.send(0, 7, produceTo('t'));
    client.send(1, 11, fetchOne('t', 0));
    client.connection.receive(client.frame(0, 7, produceTo('t')).subarray(0, 60));
    await settled();
    expect(memory.used).toBeGreaterThan(0);
    client.connection.close('client');
    go();
    await settled();
    expect(memory.used).toBe(0);
    expect(client.services.output.held).toBe(0);
    expect(client.frames).toEqual([]);
  });

  it('wakes its waiting fetches when it is closed', async () => {
    const client = new CoreClient();
    await client.storage.createTopic('t');
    client.send(1, 11, fetchOne('t', 0, { maxWaitMs: 60_000 }));
    await settled();
    expect(client.storage.waiting).toBe(1);
    client.connection.close('client');
    expect(client.storage.waiting).toBe(0);
  });

  it('finishes what is in flight when the node drains, and takes no more', async () => {
    const client = new CoreClient();
    const topic = await client.storage.createTopic('t');
    let go = (): void => {};
    client.storage.shard(topic, 0).gate = new Promise((resolve) => {
      go = resolve;
    });
    client.send(0, 7, produceTo('t'));
    client.connection.drain();
    client.send(API_VERSIONS, 0, {});
    await settled();
    expect(client.closed).toBeUndefined();
    go();
    await settled();
    expect(client.correlationIds()).toEqual([1]);
    expect(client.closed).toBe('flushed');
  });

  it('answers its waiting fetches at once when the node drains', async () => {
    const client = new CoreClient();
    await client.storage.createTopic('t');
    client.send(1, 11, fetchOne('t', 0, { maxWaitMs: 60_000 }));
    await settled();
    client.connection.drain();
    await settled();
    expect(client.correlationIds()).toEqual([1]);
    expect(client.closed).toBe('flushed');
  });

  it('is closed when nothing has moved for the idle timeout, but not while it is served', async () => {
    const client = new CoreClient({ settings: { idleTimeoutMs: 5000 } });
    await client.storage.createTopic('t');
    client.send(1, 11, fetchOne('t', 0, { maxWaitMs: 60_000 }));
    await settled();
    client.connection.expire(client.clock.monotonic() + 5001);
    expect(client.closed).toBeUndefined();
    const idle = new CoreClient({ settings: { idleTimeoutMs: 5000 } });
    idle.connection.expire(idle.clock.monotonic() + 5000);
    expect(idle.closed).toBeUndefined();
    idle.connection.expire(idle.clock.monotonic() + 5001);
    expect(idle.closed).toBe('flushed');
    client.connection.close('client');
  });

  it('keeps no memory for a request that is only announced, and not for long for one that does not go on arriving', () => {
    const memory = new MemoryShare('in flight', 100_000_000);
    const client = new CoreClient({ memory });
    const announced = Buffer.alloc(65_539);
    announced.writeInt32BE(20_000_000);
    client.connection.receive(announced);
    expect(memory.used).toBe(0);
    client.connection.receive(Buffer.alloc(1));
    expect(memory.used).toBe(20_000_000);
    client.connection.expire(11_000);
    expect(client.closed).toBeUndefined();
    client.connection.receive(Buffer.alloc(640_000));
    client.connection.expire(20_900);
    expect(client.closed).toBeUndefined();
    client.connection.expire(21_100);
    expect(client.closed).toBe('flushed');
    expect(memory.used).toBe(0);
  });

  it('is closed when even a small request does not arrive in half a minute', () => {
    const client = new CoreClient();
    client.connection.receive(Buffer.from('00000010', 'hex'));
    client.connection.expire(30_000);
    expect(client.closed).toBeUndefined();
    client.connection.expire(30_001);
    expect(client.closed).toBe('flushed');
  });
});

describe('a connection is closed with a log line, and the node goes on, for', () => {
  it.each([
    ['a negative length', Buffer.from('ffffffff', 'hex'), /a request of -1 bytes, none is shorter than 8/],
    ['a length below any request', Buffer.from('00000003', 'hex'), /a request of 3 bytes/],
    ['a length above the limit', Buffer.from('7fffffff', 'hex'), /2147483647 bytes, the limit is 33554432/],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /1195725856 bytes/],
    ['an unknown API', framed(Buffer.from('7fff000000000001ffff', 'hex')), /API key 32767 is not served/],
    ['an unknown version', framed(Buffer.from('0003007f00000001ffff', 'hex')), /version 127 of Metadata is not served/],
    ['a body that ends early', framed(Buffer.from('0003000100000001ffff7fff', 'hex')), /KAFKA_REQUEST_INVALID/],
  ])('%s', (_, bytes, message) => {
    const client = new CoreClient();
    client.connection.receive(bytes);
    expect(client.closed).toBe('flushed');
    expect(client.log.join('\n')).toMatch(message);
    expect(client.services.memory.used).toBe(0);
  });

  it('any garbage at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), async (chunks) => {
        const client = new CoreClient();
        for (const chunk of chunks) client.connection.receive(Buffer.from(chunk));
        client.connection.close('client');
        await settled();
        expect(client.services.memory.used).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('garbage behind a good frame', async () => {
    const header = fc.record({
      key: fc.constantFrom(0, 1, 2, 3, 10, 18, 19, 20, 22, 23, 32, 60),
      version: fc.nat({ max: 18 }),
    });
    await fc.assert(
      fc.asyncProperty(header, fc.uint8Array({ maxLength: 200 }), async ({ key, version }, body) => {
        const client = new CoreClient();
        const head = Buffer.alloc(10);
        head.writeInt16BE(key, 0);
        head.writeInt16BE(version, 2);
        head.writeInt16BE(-1, 8);
        client.connection.receive(framed(Buffer.concat([head, body])));
        await settled();
        expect(client.log.join('\n')).not.toMatch(/never should/);
        client.connection.close('client');
        await settled();
        expect(client.services.memory.used).toBe(0);
        expect(client.services.output.held).toBe(0);
      }),
      { numRuns: 1500 },
    );
  });
});
