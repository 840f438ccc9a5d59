import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StorageEngine } from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { appendsDurably, type Check, NotClaimed } from '../check.ts';
import { assertHolds, refused, settled } from '../expect.ts';
import { withScratch } from '../faults/scratch.ts';
import { inTime } from '../faults-io/ledger.ts';
import { fill, open } from './segments.ts';

const BEFORE = 10;
const IN_FLIGHT = 30;

export const nodeChecks: readonly Check[] = [
  {
    id: 'SHARD-286',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'read, fence and recover from another node what one has written, if it declares `placement` cluster',
    why: 'A shard moves on the strength of this word, while its former owner may still be writing. A store that was only mounted on one machine, or a fence that only one process knows of, is found out by the failover.',
    claimed: (capabilities, harness) => capabilities.placement === 'cluster' && appendsDurably(capabilities, harness),
    run: ({ harness }) =>
      withScratch(async (dir) => {
        const { workshop } = harness;
        if (workshop === undefined) throw new NotClaimed('the harness has no workshop');
        const meta = new MemoryMeta();
        const start = async (node: number): ReturnType<typeof workshop.open> => {
          const own = join(dir, String(node));
          await mkdir(own);
          return await inTime('open', workshop.open({ dir: own, meta, node }));
        };
        const one = await start(1);
        try {
          const two = await start(2);
          try {
            await takeOver(one.instance.engine, two.instance.engine);
          } finally {
            await inTime('close', two.instance.close());
          }
        } finally {
          await inTime('close', one.instance.close());
        }
      }),
  },
];

async function takeOver(from: StorageEngine, to: StorageEngine): Promise<void> {
  const sealed = await open(from, { id: 'sealed' });
  const whole = await fill(sealed, BEFORE);
  await sealed.seal();
  await assertReads(to, 'sealed', whole);

  const writer = await open(from, { id: 'moved' });
  const bodies = await fill(writer, BEFORE);
  const calls = Array.from({ length: IN_FLIGHT }, (_, i) => {
    const base = BEFORE + i;
    const bytes = batch({ base, tag: `flight-${i}` });
    bodies.push(bodyOf(bytes));
    return settled(writer.append([bytes], { base }));
  });
  await calls[0];
  const { end } = await inTime('recover', to.recover('moved', { epoch: 2 }));
  for (const [i, came] of (await inTime('an append', Promise.all(calls))).entries()) {
    const base = BEFORE + i;
    if ('value' in came) assert.ok(base < end, `the append at ${base} was acknowledged, the end is ${end}`);
    else if (came.error.outcome === 'none')
      assert.ok(base >= end, `the append at ${base} was not applied, the end is ${end}`);
  }
  const base = BEFORE + IN_FLIGHT;
  await refused(inTime('append', writer.append([batch({ base })], { base })), [
    'FENCED',
    'WRITER_FAILED',
    'SEGMENT_SEALED',
    'OFFSET_MISMATCH',
  ]);
  await assertReads(to, 'moved', bodies.slice(0, end));
  await assertReads(from, 'moved', bodies.slice(0, end));

  const next = await open(to, { id: 'next', base: end, epoch: 2 });
  assert.deepEqual(await next.append([batch({ base: end })], { base: end }), { next: end + 1 });
  await to.delete('sealed');
  await refused(from.openReader('sealed'), ['SEGMENT_UNKNOWN', 'SEGMENT_LOST']);
}

async function assertReads(engine: StorageEngine, id: string, bodies: readonly Buffer[]): Promise<void> {
  const reader = await engine.openReader(id);
  assertHolds(await readAll(logOf(reader)), 0, bodies);
  await reader.close();
}
