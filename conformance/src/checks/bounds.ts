import assert from 'node:assert/strict';
import { batchOfBytes } from '../batches.ts';
import { appendsDurably, type Check } from '../check.ts';
import { settled } from '../expect.ts';
import { inTime } from '../faults-io/ledger.ts';
import { open } from './segments.ts';

const BYTES = 1024 * 1024;
/** Far above what any disk needs to be busy. */
const MOST_BYTES = 128 * BYTES;
const MOST_BATCHES = 8;

export const boundChecks: readonly Check[] = [
  {
    id: 'SHARD-280',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'give no more credit when too much is on its way',
    why: 'A disk that stands still for a minute, and a queue that takes whatever comes meanwhile: the memory of the node is gone before anybody was told to wait.',
    claimed: appendsDurably,
    async run({ engine, definition }) {
      const writer = await open(engine);
      const most = Math.max(MOST_BYTES, MOST_BATCHES * definition.capabilities.maxBatchBytes);
      const calls: Promise<unknown>[] = [];
      let dispatched = 0;
      // in one turn: nothing can settle before the end of it, and it is as if the disk stood still
      while (dispatched * BYTES < most && writer.ready(BYTES) === undefined) {
        calls.push(settled(writer.append([batchOfBytes(BYTES, dispatched)], { base: dispatched })));
        dispatched++;
      }
      const { committed } = writer.offsets();
      const onTheirWay = (dispatched - committed) * BYTES;
      await inTime('an append', Promise.all(calls));
      assert.ok(onTheirWay < most, `${onTheirWay} bytes are on their way, and there is still credit`);
    },
  },
];
