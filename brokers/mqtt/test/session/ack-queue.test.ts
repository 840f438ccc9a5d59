import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AckQueue } from '../../src/session/ack-queue.ts';

test('[MQTT-4.6.0-2] acknowledges in the order of arrival, each once, whatever the order of settling', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 400 }), (order) => {
      const queue = new AckQueue();
      const sent: number[] = [];
      const open: number[] = [];
      for (const [at, pick] of order.entries()) {
        open.push(queue.add(at + 1));
        if (pick % 3 === 0) continue;
        const [token] = open.splice(pick % open.length, 1);
        queue.settle(token ?? 0, 0, (packetId) => sent.push(packetId));
      }
      for (const token of open.reverse()) queue.settle(token, 0, (packetId) => sent.push(packetId));
      expect(sent).toEqual(order.map((_, at) => at + 1));
      expect(queue.length).toBe(0);
    }),
  );
});
