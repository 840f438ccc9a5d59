import assert from 'node:assert/strict';
import type { SegmentReader } from '@robustmq/core';
import { batch, bodyOf, stored } from '../batches.ts';
import type { Check } from '../check.ts';
import { settled } from '../expect.ts';
import { inTime } from '../faults-io/ledger.ts';
import { chunks, open } from './segments.ts';

const BATCHES = 30;
const READS = 60;

export const givingUpChecks: readonly Check[] = [
  {
    id: 'SHARD-291',
    level: 'MUST',
    area: 'reads',
    subject: 'engine',
    promise: 'end a read that is given up, and serve those beside it',
    why: 'Clients disconnect in the middle of a fetch all day. Where several wait for the same piece of a file or an object, the signal of one of them has ended the wait of all.',
    async run({ engine, definition }) {
      const made = Array.from({ length: BATCHES }, (_, base) => batch({ base, tag: `r${base}`, valueBytes: 2000 }));
      if (definition.capabilities.append) {
        const writer = await open(engine);
        for (const [base, bytes] of made.entries()) await writer.append([bytes], { base });
        await giveUpSome(writer, made);
        await writer.seal();
      } else {
        const options = { base: 0, end: BATCHES, epoch: 1, state: new Uint8Array(0), uid: 'u' };
        await engine.ingest('s-1', options, chunks(...made));
      }
      const reader = await engine.openReader('s-1');
      await giveUpSome(reader, made);
      await reader.close();
    },
  },
];

/** Many reads at once, several of each place; of three one is given up, at once or a moment later. */
async function giveUpSome(reader: SegmentReader, made: readonly Uint8Array[]): Promise<void> {
  const reads = Array.from({ length: READS }, (_, i) => {
    const from = Math.floor(i / 6) % made.length;
    const stop = new AbortController();
    const read = settled(reader.read(from, { maxBytes: 1, signal: stop.signal }));
    return { from, stop, read, givesUp: i % 3 === 0 };
  });
  for (const [i, { stop, givesUp }] of reads.entries()) {
    if (i === READS >> 1) await null;
    if (givesUp) stop.abort();
  }
  for (const { from, read, givesUp } of reads) {
    const result = await inTime(`a read from ${from}${givesUp ? ' that was given up' : ''}`, read);
    if ('error' in result) {
      assert.ok(givesUp, `a read from ${from} failed when others were given up: ${result.error.message}`);
      assert.deepEqual([result.error.code, result.error.outcome], ['ABORTED', 'none'], result.error.message);
      continue;
    }
    const [found] = stored(result.value.bytes);
    const wanted = made[from];
    assert.ok(wanted !== undefined && found?.body.equals(bodyOf(wanted)) === true, `what was read from ${from}`);
  }
  // and the reader goes on
  const { next } = await inTime('a read', reader.read(0, { maxBytes: 1 }));
  assert.equal(next, 1);
}
