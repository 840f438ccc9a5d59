import assert from 'node:assert/strict';
import type { IngestOptions } from '@robustmq/core';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { appends, type Check } from '../check.ts';
import { assertHolds, settled } from '../expect.ts';
import { inTime } from '../faults-io/ledger.ts';
import { chunks, fill, open } from './segments.ts';

const ROUNDS = 5;

export const raceChecks: readonly Check[] = [
  {
    id: 'SHARD-270',
    level: 'MUST',
    area: 'recovery',
    subject: 'engine',
    promise: 'open one writer of a segment when several ask for it at once',
    why: 'Whether there is such a segment is asked before it is written: between the two there is room for another. Two writers that both begin at its base write over each other.',
    claimed: appends,
    async run({ engine }) {
      for (let round = 0; round < ROUNDS; round++) {
        const id = `s-${round}`;
        const asked = await Promise.all([1, 2, 3].map((epoch) => settled(open(engine, { id, base: 7, epoch }))));
        const writers = asked.flatMap((one) => ('value' in one ? [one.value] : []));
        for (const one of asked) if ('error' in one) assert.equal(one.error.code, 'SEGMENT_EXISTS', one.error.message);
        const [writer] = writers;
        assert.ok(writer !== undefined && writers.length === 1, `${writers.length} of 3 were given a writer`);
        const bodies = await fill(writer, 5);
        assert.deepEqual(await writer.seal(), { end: 12 });
        const reader = await engine.openReader(id);
        assertHolds(await readAll(logOf(reader)), 7, bodies);
        await reader.close();
      }
    },
  },
  {
    id: 'SHARD-271',
    level: 'MUST',
    area: 'ingest',
    subject: 'engine',
    promise: 'publish one of several copies that arrive at once, whole, and say of the others that it exists',
    why: 'Two nodes that both believe to own a shard archive the same segment at the same time. Parts of two copies under one name are neither of them.',
    async run({ engine }) {
      for (let round = 0; round < ROUNDS; round++) {
        const id = `in-${round}`;
        const copies = ['one', 'two', 'three'].map((uid) =>
          Array.from({ length: 8 }, (_, base) => batch({ base, tag: `${uid}-${base}`, valueBytes: 2000 })),
        );
        const asked = await inTime(
          'ingest',
          Promise.all(
            copies.map((made, i) => settled(engine.ingest(id, attempt(`uid-${i}`, made.length), chunks(...made)))),
          ),
        );
        for (const one of asked) if ('error' in one) assert.equal(one.error.code, 'SEGMENT_EXISTS', one.error.message);
        const won = asked.flatMap((one, i) => ('value' in one ? [i] : []));
        assert.equal(won.length, 1, `${won.length} of 3 copies were taken`);
        const reader = await engine.openReader(id);
        assertHolds(await readAll(logOf(reader)), 0, (copies[won[0] ?? 0] ?? []).map(bodyOf));
        await reader.close();
      }
    },
  },
];

function attempt(uid: string, end: number): IngestOptions {
  return { base: 0, end, epoch: 1, state: new Uint8Array(0), uid };
}
