import assert from 'node:assert/strict';
import { MAX_STATE_BYTES, type SegmentReader } from '@robustmq/core';
import { batch, batchOfBytes, bodyOf, logOf, readAll } from '../batches.ts';
import { appends, appendsDurably, type Check } from '../check.ts';
import { assertHolds, refused, settled } from '../expect.ts';
import { askOf, hold, ones, open } from './segments.ts';

export const limitChecks: readonly Check[] = [
  {
    id: 'SHARD-120',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'take a batch of exactly maxBatchBytes, and refuse one byte more',
    why: 'Topics are checked against that number when they are made; a limit that is nearly true fails in the middle of the night.',
    claimed: appends,
    async run({ engine, definition }) {
      const { maxBatchBytes } = definition.capabilities;
      const writer = await open(engine);
      const large = batchOfBytes(maxBatchBytes);
      const body = bodyOf(large);
      await writer.ready(maxBatchBytes);
      await writer.append([large], { base: 0 });
      await refused(writer.append([batchOfBytes(maxBatchBytes + 1, 1)], { base: 1 }), 'BATCH_TOO_LARGE', 'none');
      assertHolds(await readAll(logOf(writer)), 0, [body]);
    },
  },
  {
    id: 'SHARD-121',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'have a window of at least two of its largest batches',
    why: 'With less, one large message stops the pipeline behind it, or never gets in at all.',
    claimed: appends,
    async run({ engine, definition }) {
      const { maxBatchBytes } = definition.capabilities;
      const writer = await open(engine);
      await writer.ready(2 * maxBatchBytes);
      const two = [batchOfBytes(maxBatchBytes, 0), batchOfBytes(maxBatchBytes, 1)];
      assert.deepEqual(await writer.append(two, { base: 0 }), { next: 2 });
    },
  },
  {
    id: 'SHARD-122',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'refuse an append without credit, and keep its word when it gives credit',
    why: 'A queue without a bound is an outage with a delay; credit that does not hold makes every caller spin.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      const size = 256 * 1024;
      const appends: ReturnType<typeof settled<{ readonly next: number }>>[] = [];
      let waits = 0;
      for (let base = 0; base < 200 && waits < 5; base++) {
        const ready = writer.ready(size);
        if (ready !== undefined) {
          waits++;
          await refused(writer.append([batchOfBytes(size, base)], { base }), 'BACKPRESSURE', 'none');
          await ready;
        }
        appends.push(settled(writer.append([batchOfBytes(size, base)], { base })));
      }
      const results = await Promise.all(appends);
      const taken = results.findIndex((result) => 'error' in result);
      const first = results[taken];
      // with credit, only the wish for a new segment is a reason to refuse
      if (first !== undefined && 'error' in first) assert.equal(first.error.code, 'SEGMENT_MUST_ROLL');
      assert.equal(writer.offsets().committed, first === undefined ? results.length : taken);
    },
  },
  {
    id: 'SHARD-123',
    level: 'MUST',
    area: 'limits',
    subject: 'log',
    promise: 'never apply an append whose signal was aborted before',
    why: 'The caller has given up and told its client so; a record that shows up all the same is a duplicate in the making.',
    claimed: appends,
    async run({ log }) {
      await log.append([batch({ tag: 'one' })]);
      for (let i = 0; i < 5; i++)
        await refused(log.append([batch({ tag: 'never' })], { signal: AbortSignal.abort() }), 'ABORTED', 'none');
      await log.append([batch({ tag: 'two' })]);
      const found = await readAll(log);
      assert.deepEqual(
        found.map(({ base }) => base),
        [0, 1],
      );
      assert.ok(!found.some(({ body }) => body.includes('never')));
    },
  },
  {
    id: 'SHARD-124',
    level: 'MUST',
    area: 'limits',
    subject: 'log',
    promise: 'only stop the wait when an append is aborted after it was called',
    why: 'Taking it back would tear a hole into what was dispatched behind it.',
    claimed: appends,
    async run({ log }) {
      const aborts = Array.from({ length: 40 }, () => new AbortController());
      const appends = aborts.map(({ signal }, i) => settled(log.append([batch({ tag: `m${i}` })], { signal })));
      for (const [i, abort] of aborts.entries()) if (i % 3 === 0) abort.abort();
      const results = await Promise.all(appends);
      const last = await log.append([batch({ tag: 'last' })]);
      assert.equal((await readAll(log)).at(-1)?.base, last.base);
      const found = await readAll(log);
      for (const [i, result] of results.entries()) {
        const there = found.some(({ body }) => body.includes(`m${i}/`));
        if ('value' in result) assert.ok(there, `append ${i} was acknowledged and is not there`);
        else {
          assert.equal(result.error.code, 'ABORTED');
          if (result.error.outcome === 'none') assert.ok(!there, `append ${i} was never applied, and is there`);
        }
      }
    },
  },
  {
    id: 'SHARD-125',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'hold a state of the largest size, and refuse a larger one',
    why: 'With many producers the fold is large, and a topic that can not roll any more can not be written any more.',
    async run(trial) {
      const state = new Uint8Array(MAX_STATE_BYTES).map((_, i) => i * 31);
      const holdsState = async (reader: SegmentReader): Promise<void> =>
        assert.ok(Buffer.from(await reader.state()).equals(state), 'the state came back changed');
      await askOf(trial, ones(2), holdsState, { state });
      const larger = { id: 's-2', state: new Uint8Array(MAX_STATE_BYTES + 1) };
      await refused(hold(trial, ones(1), larger), 'INVALID_ARGUMENT', 'none');
    },
  },
  {
    id: 'SHARD-126',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'refuse arguments that are none, and stay as it was',
    why: "A half-checked argument ends up in a file name, an index or an object's key, and is found months later.",
    claimed: appends,
    async run({ engine }) {
      const state = new Uint8Array(0);
      for (const id of ['', 'A', 'a/b', '..', 'a'.repeat(129), 'ä'])
        await refused(open(engine, { id }), 'INVALID_ARGUMENT', 'none');
      for (const base of [-1, 0.5, Number.NaN, 2 ** 53])
        await refused(open(engine, { base }), 'INVALID_ARGUMENT', 'none');
      for (const epoch of [-1, 0.5, 2 ** 40]) await refused(open(engine, { epoch }), 'INVALID_ARGUMENT', 'none');
      await refused(engine.list({ prefix: '', limit: 0 }), 'INVALID_ARGUMENT', 'none');
      await refused(engine.recover('../x', { epoch: 1 }), 'INVALID_ARGUMENT', 'none');
      await refused(
        engine.ingest('s', { base: 5, end: 4, epoch: 1, state, uid: 'u' }, (async function* () {})()),
        'INVALID_ARGUMENT',
        'none',
      );
      const writer = await open(engine);
      for (const batches of [
        [],
        [new Uint8Array(3)],
        [batch().subarray(1)],
        [Buffer.concat([batch(), batch({ base: 1 })])],
      ])
        await refused(writer.append(batches, { base: 0 }), ['INVALID_ARGUMENT', 'BATCH_INVALID'], 'none');
      for (const from of [-1, 0.5, Number.NaN])
        await refused(writer.read(from, { maxBytes: 1 }), 'INVALID_ARGUMENT', 'none');
      assert.equal((await writer.append([batch()], { base: 0 })).next, 1);
      assert.deepEqual(await engine.list({ prefix: '', limit: 10 }), ['s-1']);
    },
  },
  {
    id: 'SHARD-127',
    level: 'MUST',
    area: 'limits',
    subject: 'engine',
    promise: 'hold its largest append and its largest state after a restart, and what was appended behind them',
    why: 'What is written by one limit and read back by a smaller one looks like a torn tail: it is cut off, and all that lies behind it goes with it.',
    claimed: appendsDurably,
    async run(trial) {
      const { maxBatchBytes } = trial.definition.capabilities;
      const state = new Uint8Array(MAX_STATE_BYTES).map((_, i) => i * 31);
      const writer = await open(trial.engine, { state });
      const made = [batchOfBytes(maxBatchBytes, 0), batchOfBytes(maxBatchBytes, 1), batch({ base: 2, tag: 'behind' })];
      const bodies = made.map(bodyOf);
      await writer.ready(2 * maxBatchBytes);
      await writer.append(made.slice(0, 2), { base: 0 });
      await writer.append(made.slice(2), { base: 2 });
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      assert.deepEqual(await trial.engine.recover('s-1', { epoch: 2 }), { end: 3 });
      const reader = await trial.engine.openReader('s-1');
      assertHolds(await readAll(logOf(reader)), 0, bodies);
      assert.ok(Buffer.from(await reader.state()).equals(state), 'the state came back changed');
      await reader.close();
    },
  },
];
