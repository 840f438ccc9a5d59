import assert from 'node:assert/strict';
import { batch, readAll } from '../batches.ts';
import { appends, type Check, survivesCrashes } from '../check.ts';
import { refused, settled } from '../expect.ts';

const BATCHES = 5;

export const atomicityChecks: readonly Check[] = [
  {
    id: 'SHARD-010',
    level: 'MUST',
    area: 'atomicity',
    subject: 'log',
    promise: 'show all batches of one append or none of them',
    why: 'A transaction marker or a group of messages that belong together is one append; half of it is a state that never was.',
    claimed: appends,
    async run({ log }) {
      let writing = true;
      const reading = (async () => {
        while (writing) {
          const { committed } = await log.offsets();
          assert.equal(committed % BATCHES, 0, `committed ${committed} lies inside an append`);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const appending = Promise.all(Array.from({ length: 60 }, (_, i) => log.append(group(i)))).finally(() => {
        writing = false;
      });
      await Promise.all([reading, appending]);
      assert.equal((await readAll(log)).length, 60 * BATCHES);
    },
  },
  {
    id: 'SHARD-011',
    level: 'MUST',
    area: 'atomicity',
    subject: 'log',
    promise: 'hold whole appends only after a crash in the middle of many',
    why: 'What was not acknowledged may be there or not, but a part of it is a torn write that somebody took for data.',
    claimed: survivesCrashes,
    async run({ log }) {
      const appends = Array.from({ length: 60 }, (_, i) => settled(log.append(group(i))));
      await appends[20];
      await log.reopen({ crash: true });
      const found = await readAll(log);
      assert.equal(found.length % BATCHES, 0, `${found.length} batches were found, appends have ${BATCHES}`);
      assert.ok(found.length >= 21 * BATCHES, 'an acknowledged append is gone');
      for (const [i, { body }] of found.entries())
        assert.ok(body.includes(`g${Math.floor(i / BATCHES)}-${i % BATCHES}/`), `batch ${i} is another one`);
    },
  },
  {
    id: 'SHARD-012',
    level: 'MUST',
    area: 'atomicity',
    subject: 'log',
    promise: 'use no offset for an append that was refused',
    why: 'Outcome none means that the same append may be sent again as it is; a used offset would leave a hole for ever.',
    claimed: appends,
    async run({ log }) {
      await log.append([batch({ tag: 'one' })]);
      const broken = batch({ tag: 'broken' });
      broken[70] = (broken[70] ?? 0) ^ 1;
      await refused(log.append([batch({ tag: 'whole' }), broken]), 'BATCH_INVALID', 'none');
      await refused(log.append([batch()], { signal: AbortSignal.abort() }), 'ABORTED', 'none');
      assert.equal((await log.append([batch({ tag: 'two' })])).base, 1);
      const found = await readAll(log);
      assert.deepEqual(
        found.map(({ base }) => base),
        [0, 1],
      );
      assert.ok(found[1]?.body.includes('two/'));
    },
  },
];

function group(i: number): Uint8Array[] {
  return Array.from({ length: BATCHES }, (_, part) => batch({ tag: `g${i}-${part}`, valueBytes: 30 + 400 * part }));
}
