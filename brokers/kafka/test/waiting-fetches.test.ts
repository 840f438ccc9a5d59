import type { Clock } from '@robustmq/core';
import { systemClock } from '@robustmq/core';
import { expect, it } from 'vitest';
import { openNode } from '../../../core/test/storage/harness.ts';
import { makeBatch } from './support/batch.ts';
import { CoreClient, settled } from './support/core-client.ts';
import { fetchOne } from './support/requests.ts';

it('10,000 waiting fetches share one timer, and all wake by one commit', async () => {
  let pending = 0;
  const clock: Clock = {
    ...systemClock,
    timer(delayMs, run) {
      pending++;
      const timer = systemClock.timer(delayMs, () => {
        pending--;
        run();
      });
      return {
        cancel: () => {
          pending--;
          timer.cancel();
        },
      };
    },
  };
  const { storage } = await openNode({ clock });
  const topic = await storage.createTopic('t');
  const shard = storage.shard(topic, 0);
  await shard.append([makeBatch()]);
  await settled();
  const before = pending;
  const clients = Array.from({ length: 625 }, () => new CoreClient({}, { storage, clock }));
  for (const client of clients)
    for (let i = 0; i < 16; i++) client.send(1, 11, fetchOne('t', 1, { maxWaitMs: 60_000 + i }));
  for (let i = 0; i < 5; i++) await settled();
  expect(clients.every((client) => client.connection.inFlight === 16)).toBe(true);
  expect(pending - before).toBeLessThanOrEqual(1);
  await shard.append([makeBatch()]);
  let answered = 0;
  for (const client of clients)
    for (let i = 0; i < 16; i++) {
      await client.answer(1, 11);
      answered++;
    }
  expect(answered).toBe(10_000);
  expect(clients.every((client) => client.connection.inFlight === 0)).toBe(true);
  await storage.close();
});
