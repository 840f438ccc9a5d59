import { type EngineHarness, openWorld, runScorecard, type Scorecard } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { type Fault, oneFileEngine } from './power/one-file-engine.ts';

const POWER = 'SHARD-200';
const CUT = 'SHARD-220';
const SECTORS = 'SHARD-221';
const SEALED_BITS = 'SHARD-222';
const OPEN_BITS = 'SHARD-223';

async function card(
  definition: EngineDefinition,
  only: readonly string[],
  open: () => Promise<EngineHarness> = () => openWorld(definition, { config: {} }),
  seed = 1,
): Promise<Scorecard> {
  // what looks by chance for as long as it may looks less long
  return await runScorecard(definition, { kind: 'engine', open }, { only, effort: 0.3, seed });
}

/** All that is checked without files that are cut and garbled: these faults are in what is synced, and when. */
const faults: readonly (readonly [Fault, string, RegExp])[] = [
  ['acknowledges before it syncs', POWER, /ends at \d+, appends up to \d+ were acknowledged|is gone/],
  ['never syncs its directory', POWER, /is gone: SEGMENT_UNKNOWN/],
  ['gives an ingested file its name before it is synced', POWER, /segment c /],
  ['syncs a seal only when it is closed', POWER, /segment b was sealed, and cannot be read/],
  ['fences without a sync', POWER, /had been fenced, and was recovered in a lower epoch/],
  ['removes a file and never syncs that', POWER, /was deleted, and is back/],
  ['takes a torn tail for damage', CUT, /CORRUPT/],
  ['takes a torn tail for damage', SECTORS, /CORRUPT/],
  ['believes lengths without a checksum', CUT, /segment (a|b) /],
  ['cuts the log at the first damage', SEALED_BITS, /ends at \d+, it was sealed at \d+/],
  ['cuts the log at the first damage', OPEN_BITS, /ends at \d+, appends up to \d+ were acknowledged/],
];

describe('an engine of one file a segment', { timeout: 120_000 }, () => {
  test('passes when nothing is wrong with it, and the card says how much was tried', async () => {
    const { passed, failed, facts } = await card(oneFileEngine(), [POWER, CUT, SECTORS, SEALED_BITS, OPEN_BITS]);
    expect(failed.map(({ error }) => error.message)).toEqual([]);
    expect(passed).toHaveLength(5);
    const { crashPoints, tornTails, tornSectors, bitFlips, bitFlipsOpen, powerCutDisks } = facts;
    for (const fact of [crashPoints, tornTails, tornSectors, bitFlips, bitFlipsOpen, powerCutDisks])
      expect(fact).toMatchObject({ tried: expect.any(Number), of: expect.any(Number) });
    expect(crashPoints).toMatchObject({ tried: (crashPoints as { of: number }).of });
    expect((crashPoints as { of: number }).of).toBeGreaterThan(150);
  });

  test.each(faults)('that %s is caught by %s', async (fault, id, message) => {
    const { failed } = await card(oneFileEngine(fault), [id]);
    expect(failed.map((one) => one.id)).toEqual([id]);
    expect(failed[0]?.error.message).toMatch(message);
  });

  test('has its bits turned at other bytes first with another seed', async () => {
    const first = new Set<string>();
    for (const seed of [1, 2, 3, 4]) {
      const { failed } = await card(oneFileEngine('cuts the log at the first damage'), [OPEN_BITS], undefined, seed);
      const [, at = ''] = /bit \d of (byte \d+ of \S+) turned/.exec(failed[0]?.error.message ?? '') ?? [];
      first.add(at);
    }
    expect(first).not.toContain('');
    expect(first.size).toBeGreaterThan(2);
  });

  test.each([
    'acknowledges before it syncs',
    'never syncs its directory',
    'removes a file and never syncs that',
  ] as const)('that %s passes where only the process dies: nothing but this layer catches it', async (fault) => {
    const { failed } = await card(oneFileEngine(fault), [
      'SHARD-020',
      'SHARD-021',
      'SHARD-022',
      'SHARD-026',
      'SHARD-051',
    ]);
    expect(failed.map(({ error }) => error.message)).toEqual([]);
  });

  test('is not judged, and the card says so, when it keeps files beside the file system it was given', async () => {
    const { failed, notClaimed, facts } = await card(oneFileEngine('writes beside the file system it was given'), [
      POWER,
      CUT,
      SECTORS,
      SEALED_BITS,
    ]);
    expect(failed).toEqual([]);
    expect(notClaimed).toEqual([POWER, CUT, SECTORS, SEALED_BITS]);
    expect(facts).toEqual({ crashPoints: 'n/a', tornTails: 'n/a', tornSectors: 'n/a', bitFlips: 'n/a' });
  });

  test('is not judged by a harness that cannot put it on other disks', async () => {
    const definition = oneFileEngine();
    const { notClaimed, facts } = await card(definition, [POWER], async () => {
      const { workshop: _, ...harness } = await ownHarness(definition);
      return harness;
    });
    expect(notClaimed).toEqual([POWER]);
    expect(facts).toEqual({ crashPoints: 'n/a' });
  });
});

async function ownHarness(definition: EngineDefinition): Promise<EngineHarness> {
  const world = await openWorld(definition, { config: {} });
  return {
    engine: world.engine,
    canCrash: true,
    reopen: (options) => world.reopen(options),
    dispose: () => world.dispose(),
    ...(world.workshop === undefined ? {} : { workshop: world.workshop }),
  };
}
