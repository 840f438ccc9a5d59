import assert from 'node:assert/strict';
import type { SegmentWriter, StorageEngine } from '@robustmq/core';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { appends, type Check, durable, type EngineTrial } from '../check.ts';
import { assertHolds, refused, settled } from '../expect.ts';
import { placeOf } from '../faults-io/every-step.ts';
import { inTime, outcomeOf } from '../faults-io/ledger.ts';
import { open } from './segments.ts';

const BEFORE = 3;
const IN_FLIGHT = 40;
const OVER = ['FENCED', 'WRITER_FAILED', 'SEGMENT_SEALED'] as const;

export const failingChecks: readonly Check[] = [
  {
    id: 'SHARD-290',
    level: 'MUST',
    area: 'order',
    subject: 'engine',
    promise: 'fail a writer for good with an append that fails after it was taken, and all that is behind it',
    why: 'What was sent behind a lost append has offsets that count on it. One of them that is acknowledged all the same, or a writer that takes more as if nothing had been, is a hole that no recovery can close.',
    claimed: appends,
    async run(trial) {
      await failsForGood(trial.engine, 'fenced', (_, id) => trial.engine.recover(id, { epoch: 2 }));
      const { harness, definition } = trial;
      const spoilt = harness.link !== undefined || harness.workshop !== undefined;
      if (spoilt && durable(definition.capabilities, harness)) await failSteps(trial);
    },
  },
];

/** The same where a write and a sync fail under the appends. */
async function failSteps(trial: EngineTrial): Promise<void> {
  for (const [run, kind] of (['write', 'sync'] as const).entries()) {
    const place = placeOf(trial, run);
    try {
      const engine = await inTime('open', place.open());
      await failsForGood(
        engine,
        `${place.prefix}${kind}`,
        async () => {
          place.arm(1, { how: 'error', code: 'EIO', of: [kind] });
        },
        () => place.heal(),
      );
      await outcomeOf('close', engine.close());
    } finally {
      await place.dispose();
    }
  }
}

type Disturb = (writer: SegmentWriter, id: string) => Promise<unknown>;

/** Appends in flight are disturbed; what came of each agrees with what a recovery finds, and the next segment goes on from there. */
async function failsForGood(
  engine: StorageEngine,
  id: string,
  disturb: Disturb,
  heal: () => void = () => {},
): Promise<void> {
  const writer = await open(engine, { id });
  const made = Array.from({ length: BEFORE + IN_FLIGHT }, (_, base) => batch({ base, tag: `${id}-${base}` }));
  const append = (base: number) => settled(writer.append(made.slice(base, base + 1), { base }));
  for (let base = 0; base < BEFORE; base++) await append(base);
  const first = append(BEFORE);
  const disturbed = disturb(writer, id);
  const behind = Array.from({ length: IN_FLIGHT - 1 }, (_, i) => append(BEFORE + 1 + i));
  const results = await inTime('appends', Promise.all([first, ...behind]));
  await disturbed;
  heal();
  const acknowledged = results.filter((result) => 'value' in result).length;
  const failure = results[acknowledged];
  for (const [i, result] of results.entries())
    assert.equal('value' in result, i < acknowledged, `append ${i}, with ${acknowledged} acknowledged`);
  if (failure !== undefined || id === 'fenced') {
    const base = BEFORE + acknowledged;
    await refused(writer.append([batch({ base, tag: 'late' })], { base }), OVER, 'none');
    await refused(writer.ready(10) ?? Promise.resolve(), OVER);
  }

  const { end } = await engine.recover(id, { epoch: 3 });
  assert.ok(end >= BEFORE + acknowledged && end <= made.length, `the end ${end}, ${acknowledged} were acknowledged`);
  const untouched = results.findIndex((result) => 'error' in result && result.error.outcome === 'none');
  if (untouched !== -1) assert.ok(end <= BEFORE + untouched, `append ${untouched} was certainly not applied`);
  const next = await open(engine, { id: `${id}-next`, base: end, epoch: 3 });
  for (let base = end; base < made.length; base++) await next.append(made.slice(base, base + 1), { base });
  await next.seal();
  for (const [part, from, to] of [
    [id, 0, end],
    [`${id}-next`, end, made.length],
  ] as const) {
    const reader = await engine.openReader(part);
    assertHolds(await readAll(logOf(reader)), from, made.slice(from, to).map(bodyOf));
    await reader.close();
  }
}
