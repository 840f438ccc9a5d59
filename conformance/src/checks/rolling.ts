import assert from 'node:assert/strict';
import type { SegmentWriter, StorageError } from '@robustmq/core';
import { batchOfBytes, bodyOf, logOf, readAll } from '../batches.ts';
import { appends, type Check, NotClaimed } from '../check.ts';
import { assertHolds, settled } from '../expect.ts';
import { open } from './segments.ts';

const BYTES = 256 * 1024;
/** What has not asked by then may never do so. */
const MOST = 160;
const AT_ONCE = 16;

export const rollingChecks: readonly Check[] = [
  {
    id: 'SHARD-289',
    level: 'MUST',
    area: 'sealing',
    subject: 'engine',
    promise:
      'ask for the next segment with outcome none, apply nothing of what it refused, and never ask in an empty one',
    why: 'The shard above seals, opens the next segment and sends the same append again. A part of it that was applied is there twice then; and an empty segment that asks is followed by another empty one, for ever.',
    claimed: appends,
    async run({ engine }) {
      let base = 0;
      let asked = 0;
      for (let number = 0; base < MOST; number++) {
        const id = `roll-${number}`;
        const writer = await open(engine, { id, base });
        const filled = await fillUntilAsked(writer, base);
        const end = base + filled.bodies.length;
        assert.deepEqual(writer.offsets(), { base, committed: end, end, sealed: false }, 'offsets behind a refusal');
        assert.deepEqual(await writer.seal(), { end });
        const reader = await engine.openReader(id);
        assertHolds(await readAll(logOf(reader)), base, filled.bodies);
        await reader.close();
        if (filled.asked) asked++;
        base = end;
      }
      if (asked === 0) throw new NotClaimed(`it has not asked for a new segment in ${MOST} appends of ${BYTES} bytes`);
    },
  },
];

/** Appends a few at once, as a shard does, until the writer wants another segment or there were enough. */
async function fillUntilAsked(
  writer: SegmentWriter,
  base: number,
): Promise<{ readonly bodies: readonly Buffer[]; readonly asked: boolean }> {
  const bodies: Buffer[] = [];
  while (base + bodies.length < MOST) {
    const from = base + bodies.length;
    const made = Array.from({ length: AT_ONCE }, (_, i) => batchOfBytes(BYTES, from + i));
    const appended: ReturnType<typeof settled<{ readonly next: number }>>[] = [];
    for (const [i, bytes] of made.entries()) {
      await writer.ready(BYTES);
      appended.push(settled(writer.append([bytes], { base: from + i })));
    }
    const results = await Promise.all(appended);
    const refusals = results.flatMap((result) => ('error' in result ? [result.error] : []));
    const taken = results.length - refusals.length;
    assert.ok(
      results.slice(0, taken).every((result) => 'value' in result),
      'an append was taken behind one that was refused',
    );
    bodies.push(...made.slice(0, taken).map(bodyOf));
    const [first, ...behind] = refusals;
    if (first === undefined) continue;
    if (first.code === 'DISK_FULL' || first.code === 'BACKPRESSURE') throw new NotClaimed('it has no room for so much');
    assertAsks(first);
    for (const { outcome, code } of behind) assert.equal(outcome, 'none', `outcome of ${code} behind a refusal`);
    assert.ok(bodies.length > 0, 'an empty segment asked for the next one');
    return { bodies, asked: true };
  }
  return { bodies, asked: false };
}

function assertAsks(error: StorageError): void {
  if (error.code !== 'SEGMENT_MUST_ROLL') throw error;
  assert.deepEqual([error.outcome, error.retryable], ['none', true], 'outcome and retryable of SEGMENT_MUST_ROLL');
}
