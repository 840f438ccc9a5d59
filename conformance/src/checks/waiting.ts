import assert from 'node:assert/strict';
import type { SegmentWriter, StorageEngine } from '@robustmq/core';
import { batch, batchOfBytes } from '../batches.ts';
import { appends, type Check, NotClaimed } from '../check.ts';
import { settled } from '../expect.ts';
import { inTime } from '../faults-io/ledger.ts';
import { open } from './segments.ts';

const BYTES = 256 * 1024;
/** Above the window of most engines, and no more than a slow disk takes in a moment. */
const MOST = 160;
const ENDS_WITHIN_MS = 15_000;
/** Longer than any check: a reader is let go of by what happens, or the check fails. */
const FOREVER_MS = 600_000;

type Ending = (engine: StorageEngine, writer: SegmentWriter, id: string) => Promise<unknown>;

const ENDINGS: Readonly<Record<string, Ending>> = {
  'it is fenced': (engine, _, id) => engine.recover(id, { epoch: 2 }),
  'its segment is deleted': (engine, _, id) => engine.delete(id),
  'it is sealed': (_, writer) => writer.seal(),
  'it is closed': (_, writer) => writer.close(),
  // the last one: nothing works afterwards
  'the engine is closed': (engine) => engine.close(),
};

export const waitingChecks: readonly Check[] = [
  {
    id: 'SHARD-272',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'answer whoever is in flight or waits for credit when a writer ends, however it ends',
    why: 'The shard above waits there with all that its clients have sent. One promise that is forgotten on one of the ways out, and it stands still until the process is killed.',
    claimed: appends,
    async run({ engine }) {
      let waited = 0;
      for (const [i, [how, end]] of Object.entries(ENDINGS).entries()) {
        const id = `s-${i}`;
        const writer = await open(engine, { id });
        const calls: Promise<unknown>[] = [];
        for (let base = 0; base < MOST; base++) {
          const ready = writer.ready(BYTES);
          if (ready !== undefined) {
            calls.push(settled(ready), settled(writer.ready(2 * BYTES) ?? Promise.resolve()));
            waited++;
            break;
          }
          calls.push(settled(writer.append([batchOfBytes(BYTES, base)], { base })));
        }
        calls.push(settled(end(engine, writer, id)));
        await inTime(`what a writer was asked before ${how}`, Promise.all(calls), ENDS_WITHIN_MS);
      }
      if (waited === 0) throw new NotClaimed('nobody ever waits for its credit');
    },
  },
  {
    id: 'SHARD-273',
    level: 'MUST',
    area: 'chains',
    subject: 'shard',
    promise: 'let a reader that waits go when it gives up or the shard is closed, and serve those that go on waiting',
    why: 'Clients go away in the middle of a long poll all the time. What is kept for each of them until its time is up is a leak that grows with the traffic, and a stop that waits for them is none.',
    async run(trial) {
      const wait = (signal?: AbortSignal) =>
        settled(
          trial.shard.read(0, {
            maxBytes: 1000,
            maxWaitMs: FOREVER_MS,
            ...(signal === undefined ? {} : { signal }),
          }),
        );
      const givesUp = new AbortController();
      const [gone, early, stays] = [wait(givesUp.signal), wait(AbortSignal.abort()), wait()];
      givesUp.abort();
      for (const one of await inTime('a reader that gave up', Promise.all([gone, early])))
        if ('error' in one) assert.equal(one.error.code, 'ABORTED', one.error.message);
        else assert.equal(one.value.bytes, 0, 'it was given something that is not there');
      const { next } = await trial.shard.append([batch({ tag: 'at last' })]);
      const served = await inTime('a reader that went on waiting', stays);
      assert.ok('value' in served && served.value.next === next, 'it was not given what it waited for');
      const late = settled(trial.shard.read(next, { maxBytes: 1000, maxWaitMs: FOREVER_MS }));
      await inTime('the close', trial.harness.reopen({ crash: false }));
      const ended = await inTime('a reader that waited at the close', late);
      if ('value' in ended) assert.equal(ended.value.bytes, 0);
    },
  },
];
