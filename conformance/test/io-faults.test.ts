import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openWorld, runCheck } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import memory from '@robustmq/engine-memory';
import { describe, expect, it } from 'vitest';
import type { Facts } from '../src/check.ts';
import { ioFaultChecks, laterIoFaultChecks } from '../src/checks/io-faults.ts';
import { patience } from '../src/faults-io/ledger.ts';
import { type Flaws, tinyFileEngine } from './tiny-file-engine.ts';

async function run(
  id: string,
  definition: EngineDefinition,
  effort = 1,
): Promise<{ readonly ran: boolean; readonly facts: Facts }> {
  const check = [...ioFaultChecks, ...laterIoFaultChecks].find((one) => one.id === id);
  if (check === undefined) throw new Error(`no ${id}`);
  let facts: Facts = {};
  const stage = { kind: 'engine', open: () => openWorld(definition, { config: {} }) } as const;
  const ran = await runCheck(check, definition, stage, {
    effort,
    onFacts: (more) => {
      facts = { ...facts, ...more };
    },
  });
  return { ran, facts };
}

describe('checks of I/O faults', () => {
  it.each([...ioFaultChecks.map(({ id }) => id), 'SHARD-288'])(
    '%s passes a sound engine, and counts every step',
    async (id) => {
      const { ran, facts } = await run(id, tinyFileEngine());
      expect(ran).toBe(true);
      if (id === 'SHARD-215' || id === 'SHARD-216') return;
      if (typeof facts.faultSteps !== 'object') throw new Error('no steps were counted');
      expect(facts.faultSteps.tried).toBeGreaterThan(5);
      // how many frames a sync takes in is up to the moment, so two runs may differ by a step or two
      expect(facts.faultSteps.tried).toBeGreaterThanOrEqual(0.9 * facts.faultSteps.of);
    },
  );

  it.each<[string, string, Flaws]>([
    ['acknowledges a write that failed', 'SHARD-210', { swallowsWriteErrors: true }],
    ['forgets whom to tell of a failure', 'SHARD-210', { hangs: true }],
    ['is in the way of itself after a full disk', 'SHARD-211', { trustsNoTemporaryFile: true }],
    ['goes on behind the half that a full disk has left', 'SHARD-212', { goesOnBehindTheHalf: true }],
    ['calls a lost reply not applied', 'SHARD-213', { failedMeansNone: true }],
    ['believes the sync after the one that failed', 'SHARD-214', { retriesSync: true }],
    ['commits by arrival', 'SHARD-215', { commitsByArrival: true }],
    ['acknowledges before the sync', 'SHARD-216', { syncsLater: true }],
  ])('catch an engine that %s (%s)', { timeout: 60_000 }, async (_, id, flaws) => {
    patience.hangsAfterMs = flaws.hangs === true ? 1000 : 10_000;
    let failure: unknown;
    // which step is the nth is up to the moment: on a full machine the one that shows it may be passed by
    for (let tries = 0; tries < 3 && !(failure instanceof Error); tries++)
      failure = await run(id, tinyFileEngine(flaws)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect((failure as Error).message).toContain(`${id} MUST`);
  });

  it('fail when most of the steps that were counted are not reached', async () => {
    const sound = tinyFileEngine();
    let opened = 0;
    const failure = await run('SHARD-211', {
      ...sound,
      open: async (ctx) => {
        // the world's own, and the one that is counted
        if (opened++ < 2) for (let i = 0; i < 200; i++) await ctx.fs.mkdir(join(ctx.dir, `${i}`));
        return await sound.open(ctx);
      },
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect((failure as Error).message).toMatch(
      /SHARD-211 MUST .* made 2\d\d of these steps, and only \d+ could be reached .*: most were never tried/,
    );
  });

  it('say so when an engine does a part of its I/O past them', async () => {
    const sound = tinyFileEngine();
    const { ran, facts } = await run('SHARD-211', {
      ...sound,
      open: async (ctx) => {
        await writeFile(join(ctx.dir, 'cache'), 'nobody can fail this');
        return await sound.open(ctx);
      },
    });
    expect(ran).toBe(true);
    expect(facts.faultSteps).toMatchObject({ tried: expect.any(Number) });
    expect(facts.faultsPastCtxFs).toMatch(/^not tried: /);
    expect((await run('SHARD-211', sound)).facts.faultsPastCtxFs).toBeUndefined();
  });

  it('fail each read of a sound engine after a restart, and catch one that takes it for the end', async () => {
    // time for all of them, on a busy machine, too
    const { ran, facts } = await run('SHARD-287', tinyFileEngine(), 10);
    expect(ran).toBe(true);
    if (typeof facts.failedReads !== 'object') throw new Error('no reads were counted');
    expect(facts.failedReads.tried).toBeGreaterThan(20);
    expect(facts.failedReads.tried).toBeGreaterThanOrEqual(0.9 * facts.failedReads.of);
    const wrong = run('SHARD-287', tinyFileEngine({ takesAFailedReadForTheEnd: true }));
    await expect(wrong).rejects.toThrow(/SHARD-287 MUST .* read \d+ of about \d+ failed with EIO/);
  });

  it.each(['SHARD-210', 'SHARD-212', 'SHARD-213', 'SHARD-214', 'SHARD-287', 'SHARD-288'])(
    '%s passes an engine that takes whole segments only',
    async (id) => {
      const sound = tinyFileEngine();
      const { ran, facts } = await run(id, { ...sound, capabilities: { ...sound.capabilities, append: false } });
      expect(ran).toBe(true);
      expect(facts.faultSteps ?? facts.failedReads).toMatchObject({ tried: expect.any(Number) });
    },
  );

  it('are not claimed by an engine that does no I/O', async () => {
    const { ran, facts } = await run('SHARD-210', {
      ...memory,
      capabilities: { ...memory.capabilities, durability: 'fsync' },
    } as EngineDefinition);
    expect({ ran, facts }).toEqual({ ran: false, facts: { faultSteps: 'n/a' } });
  });
});
