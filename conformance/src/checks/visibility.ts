import assert from 'node:assert/strict';
import { batch, stored } from '../batches.ts';
import { appends, type Check } from '../check.ts';
import { open } from './segments.ts';

export const visibilityChecks: readonly Check[] = [
  {
    id: 'SHARD-030',
    level: 'MUST',
    area: 'visibility',
    subject: 'log',
    promise: 'let an acknowledged append be read at once',
    why: 'A client that writes and then reads has been told that it is there.',
    claimed: appends,
    async run({ log }) {
      for (let i = 0; i < 50; i++) {
        const { base, next } = await log.append([batch({ tag: `m${i}` })]);
        const { committed } = await log.offsets();
        assert.ok(committed >= next, `acknowledged up to ${next}, committed is ${committed}`);
        const [found] = stored((await log.read(base, 1)).bytes);
        assert.ok(found?.body.includes(`m${i}/`), `append ${i} can not be read`);
      }
    },
  },
  {
    id: 'SHARD-031',
    level: 'MUST',
    area: 'visibility',
    subject: 'log',
    promise: 'show nothing at or past committed',
    why: 'A record that was read and then lost in a crash has been acted upon by somebody.',
    claimed: appends,
    async run({ log }) {
      let writing = true;
      const reading = (async () => {
        while (writing) {
          const { start, committed } = await log.offsets();
          const { bytes } = await log.read(Math.max(start, committed - 3), 1_000_000);
          const last = stored(bytes).at(-1);
          const after = (await log.offsets()).committed;
          assert.ok((last?.next ?? 0) <= after, `read up to ${last?.next}, committed is ${after}`);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const appending = Promise.all(
        Array.from({ length: 200 }, (_, i) => log.append([batch({ tag: `m${i}`, valueBytes: 500 })])),
      ).finally(() => {
        writing = false;
      });
      await Promise.all([reading, appending]);
    },
  },
  {
    id: 'SHARD-032',
    level: 'MUST',
    area: 'visibility',
    subject: 'engine',
    promise: 'never let committed go back, and never let it pass what was dispatched',
    why: 'A reader that was told of an offset treats a smaller one as a truncated log and starts over.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      let last = 0;
      const look = (dispatched: number): void => {
        const { committed, end } = writer.offsets();
        assert.ok(committed >= last, `committed went from ${last} to ${committed}`);
        assert.ok(
          committed <= end && end <= dispatched,
          `committed ${committed}, end ${end}, dispatched ${dispatched}`,
        );
        last = committed;
      };
      const appends: Promise<unknown>[] = [];
      for (let i = 0; i < 200; i++) {
        appends.push(writer.append([batch({ base: i })], { base: i }));
        look(i + 1);
        look(i + 1);
        if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(appends);
      look(200);
      await writer.seal();
      look(200);
      assert.equal(last, 200);
    },
  },
  {
    id: 'SHARD-033',
    level: 'MUST',
    area: 'visibility',
    subject: 'engine',
    promise: 'have moved committed past an append before the append settles',
    why: 'Core wakes the readers that wait when an append settles; woken too early they find nothing, and nobody wakes them again.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      await Promise.all(
        Array.from({ length: 50 }, async (_, i) => {
          const { next } = await writer.append([batch({ base: i })], { base: i });
          const { committed } = writer.offsets();
          assert.ok(committed >= next, `settled up to ${next}, committed is ${committed}`);
          assert.equal(stored((await writer.read(i, { maxBytes: 1 })).bytes)[0]?.base, i);
        }),
      );
    },
  },
];
