import assert from 'node:assert/strict';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { appends, type Check, durable } from '../check.ts';
import { assertHolds, refused, settled } from '../expect.ts';
import { chunks, fill, hold, ones, open } from './segments.ts';

const GONE = ['SEGMENT_UNKNOWN', 'SEGMENT_LOST'] as const;

export const deletionChecks: readonly Check[] = [
  {
    id: 'SHARD-100',
    level: 'MUST',
    area: 'deletion',
    subject: 'engine',
    promise: 'delete a segment in any state, again and again, and hold nothing of it afterwards',
    why: 'Retention retries what it does not know to be done; what stays behind is paid for until someone finds it.',
    async run({ engine, definition }) {
      if (definition.capabilities.append) {
        await fill(await open(engine, { id: 'open' }), 3);
        const sealed = await open(engine, { id: 'sealed' });
        await fill(sealed, 3);
        await sealed.seal();
        await open(engine, { id: 'recovered' });
        await engine.recover('recovered', { epoch: 2 });
      }
      await ingestOne(engine, 'taken-in');
      for (const id of ['open', 'sealed', 'recovered', 'taken-in', 'never']) {
        await engine.delete(id);
        await engine.delete(id);
        await refused(engine.openReader(id), GONE);
        await refused(engine.recover(id, { epoch: 3 }), GONE);
      }
      assert.deepEqual(await engine.list({ prefix: '', limit: 10 }), []);
    },
  },
  {
    id: 'SHARD-101',
    level: 'MUST',
    area: 'deletion',
    subject: 'engine',
    promise: 'fence the writer of a segment that is deleted',
    why: 'A topic that is deleted and made again under the same name must not receive what was on its way to the old one.',
    claimed: appends,
    async run({ engine }) {
      const writer = await open(engine);
      await fill(writer, 3);
      await engine.delete('s-1');
      await refused(writer.append([batch({ base: 3 })], { base: 3 }), [
        'FENCED',
        'WRITER_FAILED',
        'SEGMENT_UNKNOWN',
        'SEGMENT_SEALED',
      ]);
      await settled(writer.close());
      assert.deepEqual(await engine.list({ prefix: '', limit: 10 }), []);
    },
  },
  {
    id: 'SHARD-102',
    level: 'MUST',
    area: 'deletion',
    subject: 'engine',
    promise: 'list ids in order, by pages, and skip or repeat none that was there all along',
    why: 'Sweepers delete what a listing does not explain; a page that skips or repeats makes them wrong.',
    async run({ engine }) {
      const ids = Array.from({ length: 60 }, (_, i) => `${i % 2 === 0 ? 'a' : 'b'}-${String(i).padStart(3, '0')}`);
      for (const id of ids) await ingestOne(engine, id);
      const expected = ids.filter((id) => id.startsWith('a-')).sort();
      const seen: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await engine.list({ prefix: 'a-', limit: 7, ...(after === undefined ? {} : { after }) });
        seen.push(...page);
        after = page.at(-1);
        if (after === undefined) break;
        // changes elsewhere, between two pages
        await engine.delete(`b-${String(seen.length).padStart(3, '0')}`);
        await ingestOne(engine, `a${seen.length}`);
      }
      assert.deepEqual(seen, expected);
      assert.deepEqual(await engine.list({ prefix: 'c', limit: 7 }), []);
      assert.deepEqual(await engine.list({ prefix: 'a-', after: 'zzz', limit: 7 }), []);
    },
  },
  {
    id: 'SHARD-103',
    level: 'MUST',
    area: 'deletion',
    subject: 'engine',
    promise: 'not bring a deleted segment back after a restart',
    why: 'A log that replays what was deleted serves records that the law may have asked to be gone.',
    claimed: durable,
    async run(trial) {
      await ingestOne(trial.engine, 'taken-in');
      await ingestOne(trial.engine, 'kept');
      if (trial.definition.capabilities.append) {
        await fill(await open(trial.engine, { id: 'open' }), 5);
        const sealed = await open(trial.engine, { id: 'sealed' });
        await fill(sealed, 5);
        await sealed.seal();
      }
      for (const id of ['taken-in', 'open', 'sealed']) await trial.engine.delete(id);
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      assert.deepEqual(await trial.engine.list({ prefix: '', limit: 10 }), ['kept']);
      for (const id of ['taken-in', 'open', 'sealed']) await refused(trial.engine.openReader(id), GONE);
    },
  },
  {
    id: 'SHARD-104',
    level: 'MUST',
    area: 'deletion',
    subject: 'engine',
    promise: 'give a read that meets a deletion whole batches or an error',
    why: 'Retention runs under readers all the time.',
    async run(trial) {
      const { engine } = trial;
      const made = ones(100, { valueBytes: 1000 });
      const bodies = made.map(bodyOf);
      await (await hold(trial, made)).seal?.();
      const reader = await engine.openReader('s-1');
      const reads = Array.from({ length: 20 }, async () => await settled(readAll(logOf(reader), 3000)));
      await engine.delete('s-1');
      for (const read of await Promise.all(reads)) {
        if ('value' in read) assertHolds(read.value, 0, bodies);
        else assert.ok([...GONE, 'CLOSED'].includes(read.error.code), `${read.error.code}: ${read.error.message}`);
      }
      await settled(reader.close());
    },
  },
];

async function ingestOne(engine: Parameters<typeof open>[0], id: string): Promise<void> {
  await engine.ingest(id, { base: 0, end: 1, epoch: 1, state: new Uint8Array(0), uid: 'u' }, chunks(batch()));
}
