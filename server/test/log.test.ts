import { StorageError } from '@robustmq/core';
import { expect, test } from 'vitest';
import { createLogger } from '../src/node/logger.ts';
import { wideBindWarnings } from '../src/node/wide-bind.ts';

function logged(format: 'text' | 'json', write: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = '';
  const sink = {
    write: (line: string) => {
      text += line;
    },
  };
  write(createLogger({ level: 'info', format }, sink));
  return text;
}

test('text lines are for people, JSON lines for machines', () => {
  const write = (logger: ReturnType<typeof createLogger>): void => {
    logger.debug({}, 'unseen');
    logger.child({ engine: 'local' }).warn({ bytes: 5, path: 'a b' }, 'slow disk');
  };
  expect(logged('text', write)).toMatch(/^\d{4}-.*Z warn {2}slow disk engine=local bytes=5 path="a b"\n$/);
  expect(JSON.parse(logged('json', write))).toMatchObject({
    level: 'warn',
    engine: 'local',
    bytes: 5,
    msg: 'slow disk',
  });
});

test('an error keeps its stack', () => {
  expect(logged('text', (logger) => logger.error({ err: new Error('boom') }, 'it failed'))).toMatch(
    /it failed\n {2}Error: boom\n {6}at /,
  );
});

test('an error of ours says its code, and what to do', () => {
  const error = new StorageError('STORE_DENIED', 'no', { hint: 'Set credentials' });
  expect(logged('text', (logger) => logger.error({ err: error }, 'it failed'))).toMatch(
    /StorageError: no\n(?:.*\n)+ {2}code: STORE_DENIED\n {2}what to do: Set credentials\n$/,
  );
  expect(JSON.parse(logged('json', (logger) => logger.error({ err: error }, 'it failed'))).err).toMatchObject({
    code: 'STORE_DENIED',
    hint: 'Set credentials',
  });
});

test('a bind wider than loopback is warned about, loopback is not', () => {
  const listener = (host: string) => ({ protocol: 'mqtt', host, port: 1, setting: 'brokers.mqtt.port' });
  expect(wideBindWarnings(['127.0.0.1', '127.0.0.5', '::1', 'localhost'].map(listener))).toEqual([]);
  expect(wideBindWarnings([listener('0.0.0.0')])[0]).toMatch(/NO AUTHENTICATION.*brokers\.mqtt\.host/);
  expect(wideBindWarnings([listener('10.0.0.7'), listener('::')])).toHaveLength(2);
});
