import type { Operation } from '@robustmq/core';
import { expect, test } from 'vitest';
import { allow } from '../src/admin/allow.ts';
import { AdminServer } from '../src/admin/server.ts';

test('every route asks before it acts', async () => {
  const asked: [Operation, string][] = [];
  const refuse = {
    authorize: (
      _principal: unknown,
      operation: Operation,
      resource: { readonly type: string; readonly name?: string },
    ) => {
      asked.push([operation, resource.name ?? resource.type]);
      return false;
    },
  };
  // nothing but the authorizer is reached
  const parts = { authorizer: refuse, logger: { error: () => {} } } as unknown as ConstructorParameters<
    typeof AdminServer
  >[0];
  const server = new AdminServer(parts);
  await server.listen('127.0.0.1', 0);
  try {
    const topics = `http://127.0.0.1:${server.listener.port}/api/v1/topics`;
    const ask = async (method: string, path: string, body?: object): Promise<number> => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(
        topics + path,
        body === undefined ? { method } : { method, headers, body: JSON.stringify(body) },
      );
      return answer.status;
    };
    expect(await ask('GET', '')).toBe(403);
    expect(await ask('POST', '', { name: 't' })).toBe(403);
    expect(await ask('GET', '/t')).toBe(403);
    expect(await ask('PATCH', '/t', {})).toBe(403);
    expect(await ask('DELETE', '/t')).toBe(403);
    expect(await ask('POST', '/t/recover', { acceptLoss: true })).toBe(403);
    expect(await ask('POST', '/t/records', { records: [{ value: 'x' }] })).toBe(403);
    expect(await ask('GET', '/t/records')).toBe(403);
    expect(asked).toEqual([
      ['describe', 'cluster'],
      ['create', 't'],
      ['describe', 't'],
      ['alter', 't'],
      ['delete', 't'],
      ['alter', 't'],
      ['write', 't'],
      ['read', 't'],
    ]);
  } finally {
    await server.close();
  }
});

test('who may passes', () => {
  expect(() => allow({ authorize: () => true }, 'read', 't')).not.toThrow();
});
