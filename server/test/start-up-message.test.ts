import { expect, test } from 'vitest';
import type { RunningNode } from '../src/node/node.ts';
import { startUpText } from '../src/node/start-up-message.ts';

function nodeThat(status: { readonly ready: boolean; readonly problems: readonly object[] }): RunningNode {
  const node = {
    config: { engines: [], policy: { defaults: { engine: 'local' } }, data: '/data', file: undefined },
    listeners: () => [{ protocol: 'kafka', host: '127.0.0.1', port: 9092 }],
    status: () => ({ ...status, uptimeMs: 42 }),
  };
  return node as unknown as RunningNode; // as much of one as the message tells of
}

test('the start-up message says whether the node is ready, and what is wrong if it is not', () => {
  expect(startUpText(nodeThat({ ready: true, problems: [] }))).toMatch(/^RobustMQ \S+ is ready in 42 ms\n {2}kafka/);
  const problem = { code: 'ENGINE_UNHEALTHY', where: 'cold', detail: 'STORE_UNAVAILABLE: nobody there' };
  expect(startUpText(nodeThat({ ready: false, problems: [problem] }))).toMatch(
    /^RobustMQ \S+ has started in 42 ms, and is not ready\n {2}PROBLEM {2}ENGINE_UNHEALTHY cold: STORE_UNAVAILABLE: nobody there\n {2}kafka/,
  );
});
