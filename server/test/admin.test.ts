import { request } from 'node:http';
import { expect, test } from 'vitest';
import { urlOf, withNode } from './node-fixture.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {} } = options;
    const sent = request(url, { method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on('error', reject);
    sent.end(options.body);
  });
}

const json = { 'content-type': 'application/json' };

test('health, status and metrics of a node that is ready', () =>
  withNode({}, async (node) => {
    const url = urlOf(node);
    expect(await ask(`${url}/livez`)).toEqual({ status: 200, body: 'ok\n' });
    expect(await ask(`${url}/readyz`)).toEqual({ status: 200, body: 'ok\n' });
    const verbose = JSON.parse((await ask(`${url}/readyz?verbose`)).body);
    expect(verbose).toMatchObject({ ready: true, phase: 'running', problems: [] });
    expect(verbose.listeners.map(({ protocol }: { protocol: string }) => protocol)).toEqual(['mqtt', 'kafka', 'admin']);
    const metrics = await ask(`${url}/metrics`);
    expect(metrics.body).toMatch(/^# TYPE robust_ready gauge\nrobust_ready 1$/m);
    expect(metrics.body).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
    expect(JSON.parse((await ask(`${url}/status.json`)).body)).toMatchObject({ ready: true, pid: process.pid });
  }));

test('a topic is created, described with the origin of each setting, altered, reset and deleted', () =>
  withNode({}, async (node) => {
    const topics = `${urlOf(node)}/api/v1/topics`;
    const body = JSON.stringify({ name: 'a.b', settings: { shards: 2, retention: { ms: '1h' } } });
    const created = await ask(topics, { method: 'POST', headers: json, body });
    expect(created.status).toBe(201);
    expect(JSON.parse(created.body)).toMatchObject({
      name: 'a.b',
      shardCount: 2,
      settings: { retention: { ms: 3_600_000 } },
      origins: { 'retention.ms': 'topic', 'retention.bytes': 'default' },
    });
    expect((await ask(topics, { method: 'POST', headers: json, body })).status).toBe(409);
    const altered = await ask(`${topics}/a.b`, {
      method: 'PATCH',
      headers: json,
      body: JSON.stringify({ settings: { retention: { ms: null, bytes: '1MiB' } } }),
    });
    expect(JSON.parse(altered.body)).toMatchObject({
      settings: { retention: { ms: 604_800_000, bytes: 1_048_576 } },
      origins: { 'retention.ms': 'default', 'retention.bytes': 'topic' },
    });
    const described = JSON.parse((await ask(`${topics}/a.b`)).body);
    expect(described.shards.map(({ index }: { index: number }) => index)).toEqual([0, 1]);
    expect(await ask(`${topics}/a.b`, { method: 'DELETE' })).toEqual({ status: 204, body: '' });
    expect((await ask(`${topics}/a.b`)).status).toBe(404);
    expect(JSON.parse((await ask(topics)).body)).toEqual({ topics: [] });
  }));

test('records go in and come out unchanged: nulls, empty, bytes that are no text, headers', () =>
  withNode({}, async (node) => {
    const url = `${urlOf(node)}/api/v1/topics/r/records`;
    const records = [
      {
        timestamp: 1,
        key: 'k',
        value: 'v',
        headers: [
          { key: 'h', value: null },
          { key: 'h', valueBase64: '/w==' },
        ],
      },
      { timestamp: 2, key: null, value: '' },
      { timestamp: 3, keyBase64: '/wA=', value: null },
    ];
    const written = await ask(url, { method: 'POST', headers: json, body: JSON.stringify({ records }) });
    expect(JSON.parse(written.body)).toEqual({ written: [{ shard: 0, base: 0, next: 3 }] });
    const read = await ask(url);
    const lines = read.body.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      records.map((record, offset) => ({ shard: 0, offset, ...record })),
    );
    expect((await ask(`${url}?from=1&limit=1`)).body.trim().split('\n')).toEqual([lines[1]]);
    expect((await ask(`${url}?from=99`)).status).toBe(416);
    expect((await ask(`${url}?from=x`)).status).toBe(400);
    expect((await ask(`${url}?shard=5`)).status).toBe(404);
  }));

test('input that is wrong gets a 4xx with a code and never harms the node', () =>
  withNode({}, async (node) => {
    const url = urlOf(node);
    const topics = `${url}/api/v1/topics`;
    const post = (body: string, headers: Record<string, string> = json): Promise<Answer> =>
      ask(topics, { method: 'POST', headers, body });
    const wrong: readonly [Promise<Answer>, number, string][] = [
      [post('{bad'), 400, 'REQUEST_INVALID'],
      [post('[]'), 400, 'REQUEST_INVALID'],
      [post('null'), 400, 'REQUEST_INVALID'],
      [post('{}'), 400, 'REQUEST_INVALID'],
      [post('{"name":"x","foo":1}'), 400, 'REQUEST_INVALID'],
      [post('{"name":"x","settings":{"retention":{"ms":"soon"}}}'), 400, 'REQUEST_INVALID'],
      [post('{"name":"../x"}'), 400, 'TOPIC_INVALID'],
      [post('{"name":"x","settings":{"engine":"gone"}}'), 400, 'ENGINE_UNKNOWN'],
      [post('{"name":"x","__proto__":{"a":1}}'), 400, 'REQUEST_INVALID'],
      [post(`{"name":"${'x'.repeat(5_000_000)}"}`), 413, 'REQUEST_INVALID'],
      [post('name=x', { 'content-type': 'application/x-www-form-urlencoded' }), 415, 'REQUEST_INVALID'],
      [ask(`${url}/nope`), 404, 'NOT_FOUND'],
      [ask(`${topics}/%E0%A4%A`), 400, 'REQUEST_INVALID'],
      [ask(`${topics}/gone`), 404, 'TOPIC_UNKNOWN'],
      [ask(`${topics}/gone`, { method: 'DELETE' }), 404, 'TOPIC_UNKNOWN'],
      [ask(url, { headers: { host: 'evil.example' } }), 403, 'HOST_NOT_ALLOWED'],
    ];
    for (const [answer, status, code] of wrong) {
      const { status: got, body } = await answer;
      expect({ status: got, code: JSON.parse(body).code }).toEqual({ status, code });
    }
    expect((await ask(`${url}/readyz`)).status).toBe(200);
  }));

test('a garbage stream on the admin port is answered or closed, and the node goes on', () =>
  withNode({}, async (node) => {
    const { connect } = await import('node:net');
    const port = Number(new URL(urlOf(node)).port);
    const socket = connect(port, '127.0.0.1');
    socket.write(Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 7919) & 0xff)));
    await new Promise((resolve) => socket.on('error', resolve).on('close', resolve).resume());
    expect((await ask(`${urlOf(node)}/readyz`)).status).toBe(200);
  }));

test('every path of the OpenAPI document is there', () =>
  withNode({}, async (node) => {
    const { paths } = JSON.parse((await ask(`${urlOf(node)}/openapi.json`)).body);
    for (const [path, operations] of Object.entries(paths))
      for (const method of Object.keys(operations as object).filter((name) => name !== 'parameters')) {
        const { body } = await ask(urlOf(node) + path.replace('{name}', 'x'), {
          method: method.toUpperCase(),
          headers: json,
          ...(method === 'get' || method === 'delete' ? {} : { body: '{}' }),
        });
        expect([method, path, body.includes('"NOT_FOUND"')]).toEqual([method, path, false]);
      }
  }));
