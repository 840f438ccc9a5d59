import assert from 'node:assert/strict';
import { headerDigest, type IngestOptions } from '@robustmq/core';
import { batch, batchOfBytes, bodyOf, logOf, NOON, readAll, stored } from '../batches.ts';
import { appends, type Check, durable } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { chunks, fill, open } from './segments.ts';

const GONE = ['SEGMENT_UNKNOWN', 'SEGMENT_LOST'] as const;

export const ingestChecks: readonly Check[] = [
  {
    id: 'SHARD-060',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'publish a whole sealed segment, and answer with its bytes and digest',
    why: 'Core compares both before it drops the hot copy; an upload that was counted before it was checked has cost whole archives.',
    async run({ engine }) {
      const made = Array.from({ length: 40 }, (_, i) =>
        batch({ base: i * 2, records: 2, tag: `i${i}`, valueBytes: 300 }),
      );
      const state = new Uint8Array([1, 2, 3]);
      const result = await engine.ingest(
        'in-1',
        options({ end: 80, state }),
        chunks(Buffer.concat(made.slice(0, 10)), ...made.slice(10)),
      );
      assert.equal(
        result.bytes,
        made.reduce((sum, { length }) => sum + length, 0),
      );
      assert.equal(
        result.crc,
        made.reduce((crc, bytes) => headerDigest(crc, bytes), 0),
      );
      const reader = await engine.openReader('in-1');
      assert.deepEqual(reader.offsets(), { base: 0, committed: 80, end: 80, sealed: true });
      assert.deepEqual(new Uint8Array(await reader.state()), state);
      assertHolds(await readAll(logOf(reader)), 0, made.map(bodyOf));
      await reader.close();
    },
  },
  {
    id: 'SHARD-061',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'show nothing of a segment before it is complete',
    why: 'Data first, pointer second: a reader that finds a half-written copy takes its end for the end.',
    async run({ engine }) {
      let half: () => void = () => {};
      const reached = new Promise<void>((resolve) => {
        half = resolve;
      });
      let goOn: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield batch({ base: 0 });
        half();
        await gate;
        yield batch({ base: 1 });
      }
      const ingesting = engine.ingest('in-1', options({ end: 2 }), slow());
      // one that fails before it asks for the second half says why
      await Promise.race([reached, ingesting]);
      await refused(engine.openReader('in-1'), [...GONE, 'SEGMENT_NOT_SEALED']);
      goOn();
      await ingesting;
      const reader = await engine.openReader('in-1');
      assert.equal(reader.offsets().end, 2);
      await reader.close();
    },
  },
  {
    id: 'SHARD-062',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'leave nothing visible of an attempt that failed, nor stand in the way of the next one',
    why: 'Copies fail halfway all the time; what stays behind is either served as data or paid for until someone finds it.',
    async run({ engine }) {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield batch({ base: 0 });
        throw new Error('the source went away');
      }
      await assert.rejects(engine.ingest('in-1', options({ end: 2 }), broken()), /the source went away/);
      await refused(engine.openReader('in-1'), GONE);
      assert.deepEqual(await engine.list({ prefix: '', limit: 10 }), []);
      await engine.ingest('in-1', options({ end: 1, uid: 'second' }), chunks(batch()));
      const reader = await engine.openReader('in-1');
      assert.equal((await readAll(logOf(reader))).length, 1);
      await reader.close();
    },
  },
  {
    id: 'SHARD-063',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'give the same result for the same uid, and refuse another one',
    why: "A lost reply is sent again. Taken for a stranger's, one's own success looks like being fenced.",
    async run({ engine }) {
      const bytes = batch({ records: 3 });
      const first = await engine.ingest('in-1', options({ end: 3 }), chunks(bytes));
      for (let i = 0; i < 5; i++)
        assert.deepEqual(await engine.ingest('in-1', options({ end: 3 }), chunks(bytes)), first);
      await refused(engine.ingest('in-1', options({ end: 3, uid: 'other' }), chunks(bytes)), 'SEGMENT_EXISTS', 'none');
      const reader = await engine.openReader('in-1');
      assert.equal((await readAll(logOf(reader))).length, 1);
      await reader.close();
    },
  },
  {
    id: 'SHARD-064',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'keep holes: a read in one gives the next batch, and one that reaches the end gives the end',
    why: 'Compaction leaves holes of any size; a 32-bit distance between two offsets once made live data look expired.',
    async run({ engine }) {
      const far = 2 ** 33;
      const made = [
        batch({ base: 5, timestamps: [NOON] }),
        batch({ base: 100, records: 10, timestamps: [NOON + 5] }),
        batch({ base: far, timestamps: [NOON + 9] }),
      ];
      await engine.ingest('in-1', options({ end: far + 1000 }), chunks(Buffer.concat(made)));
      const reader = await engine.openReader('in-1');
      for (const [from, base] of [
        [0, 5],
        [5, 5],
        [6, 100],
        [104, 100],
        [110, far],
        [far, far],
      ] as const) {
        const [found] = stored((await reader.read(from, { maxBytes: 1 })).bytes);
        assert.equal(found?.base, base, `a read from ${from}`);
      }
      const last = await reader.read(far + 1, { maxBytes: 1 });
      assert.deepEqual([last.bytes.length, last.next], [0, far + 1000]);
      assert.equal(await reader.offsetForTimestamp(NOON + 6), far);
      assert.deepEqual(
        stored((await reader.read(0, { maxBytes: 1_000_000 })).bytes).map(({ base }) => base),
        [5, 100, far],
      );
      await reader.close();
    },
  },
  {
    id: 'SHARD-065',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'take a segment in which nothing is left',
    why: 'Compaction may remove every record of a segment; its offsets still have to be covered.',
    async run({ engine }) {
      const result = await engine.ingest('in-1', options({ base: 50, end: 90 }), chunks());
      assert.deepEqual(result, { bytes: 0, crc: 0 });
      const reader = await engine.openReader('in-1');
      assert.deepEqual(reader.offsets(), { base: 50, committed: 90, end: 90, sealed: true });
      const read = await reader.read(60, { maxBytes: 100 });
      assert.deepEqual([read.bytes.length, read.next], [0, 90]);
      assert.equal(await reader.offsetForTimestamp(0), undefined);
      await reader.close();
    },
  },
  {
    id: 'SHARD-066',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'hold an ingested segment from the moment it was acknowledged, crash or not',
    why: 'The other copy is dropped on the strength of that answer.',
    claimed: durable,
    async run(trial) {
      const bytes = batch({ records: 4 });
      const first = await trial.engine.ingest('in-1', options({ end: 4 }), chunks(bytes));
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      // before anything is sent again: a copy that was lost would be taken once more, and look as if it had been held
      const reader = await trial.engine.openReader('in-1');
      assertHolds(await readAll(logOf(reader)), 0, [bodyOf(bytes)]);
      await reader.close();
      assert.deepEqual(await trial.engine.ingest('in-1', options({ end: 4 }), chunks(bytes)), first);
    },
  },
  {
    id: 'SHARD-067',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'refuse batches that lie outside of the segment, go back, or are damaged, and publish nothing',
    why: 'A copy is the last chance to notice that the source is damaged: afterwards the original is gone.',
    async run({ engine }) {
      const damaged = batch({ base: 0 });
      damaged[80] = (damaged[80] ?? 0) ^ 4;
      const wrong: [string, Uint8Array[]][] = [
        ['past the end', [batch({ base: 9, records: 2 })]],
        ['backwards', [batch({ base: 4 }), batch({ base: 3 })]],
        ['damaged', [damaged]],
        ['cut', [batch({ base: 0 }).subarray(0, 80)]],
      ];
      for (const [, given] of wrong)
        await refused(engine.ingest('in-1', options({ end: 10 }), chunks(...given)), 'BATCH_INVALID', 'none');
      await refused(engine.openReader('in-1'), GONE);
    },
  },
  {
    id: 'SHARD-068',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'refuse to ingest over a segment that was written here',
    why: "An open or sealed segment is somebody's data; ids are never reused, so this is a mistake to be told, not to be obeyed.",
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      const bodies = await fill(writer, 3);
      await refused(engine.ingest('s-1', options({ end: 1 }), chunks(batch())), 'SEGMENT_EXISTS', 'none');
      await writer.seal();
      await refused(engine.ingest('s-1', options({ end: 1 }), chunks(batch())), 'SEGMENT_EXISTS', 'none');
      const reader = await engine.openReader('s-1');
      assertHolds(await readAll(logOf(reader)), 0, bodies);
      await reader.close();
    },
  },
  {
    id: 'SHARD-069',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'take a batch of exactly maxBatchBytes',
    why: 'What was appended to one engine must fit through `ingest` of another with the same limit.',
    async run({ engine, definition }) {
      const large = batchOfBytes(definition.capabilities.maxBatchBytes);
      const body = bodyOf(large);
      await engine.ingest('in-1', options({ end: 1 }), chunks(large));
      const reader = await engine.openReader('in-1');
      assertHolds(await readAll(logOf(reader)), 0, [body]);
      await reader.close();
    },
  },
];

function options(given: Partial<IngestOptions> & { readonly end: number }): IngestOptions {
  return { base: 0, epoch: 1, state: new Uint8Array(0), uid: 'first', ...given };
}
