import { readFile } from 'node:fs/promises';
import { checks, describePromises, openWorld, promises, runScorecard, settingsOf } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import memory from '@robustmq/engine-memory';
import { describe, expect, it } from 'vitest';
import { isLong } from '../src/run-check.ts';

describe('the suite', () => {
  it('fails a check that hangs, and goes on', async () => {
    const definition = {
      ...memory,
      open: async (ctx: Parameters<typeof memory.open>[0]) => {
        const engine = await memory.open(ctx);
        engine.list = () => new Promise(() => {});
        return engine;
      },
    } as EngineDefinition; // as above
    const stage = { kind: 'engine', open: () => openWorld(definition, { config: settingsOf(definition) }) } as const;
    const card = await runScorecard(definition, stage, { only: ['SHARD-053', 'SHARD-141'], timeoutMs: 100 });
    expect(card.failed[0]?.error.message).toContain('did not end within 100 ms');
    expect(card.passed).toEqual(['SHARD-141']);
  });

  it('asks nothing of a shard where no shard can be: on an engine that takes whole segments only', async () => {
    const cold = { ...memory, capabilities: { ...memory.capabilities, append: false } } as EngineDefinition; // as above
    const open = (): Promise<never> => Promise.reject(new Error('nobody asks for one'));
    const card = await runScorecard(cold, { kind: 'shard', open });
    expect([card.passed, card.failed]).toEqual([[], []]);
    expect(card.notClaimed.length).toBeGreaterThan(20);
  });

  it('asks of an engine that takes whole segments only what such a one can do, and nothing of it fails', async () => {
    const cold = { ...memory, capabilities: { ...memory.capabilities, append: false } } as EngineDefinition; // as above
    const open = () => openWorld(cold, { config: settingsOf(cold) });
    const only = checks.filter((check) => !isLong(check)).map(({ id }) => id);
    const card = await runScorecard(cold, { kind: 'engine', open }, { only });
    expect(card.failed.map(({ error }) => error.message)).toEqual([]);
    expect(card.passed).toEqual(expect.arrayContaining(['SHARD-060', 'SHARD-141', 'SHARD-271', 'SHARD-279']));
    expect(card.notClaimed).toEqual(expect.arrayContaining(['SHARD-001', 'SHARD-040', 'SHARD-094', 'SHARD-289']));
  });

  it('has an id, a reason and a place for each promise', () => {
    const ids = promises.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual([...ids].sort());
    for (const { id, promise, why } of promises) {
      expect(id).toMatch(/^SHARD-\d{3}$/);
      expect(promise).toMatch(/^[a-z].*[^.]$/);
      expect(why).toMatch(/\.$/);
      expect(`${promise}${why}`).not.toContain('|');
    }
  });

  it('is described in docs/conformance.md', async () => {
    const page = new URL('../../docs/conformance.md', import.meta.url);
    expect(await readFile(page, 'utf8'), 'run node tools/conformance.ts --docs').toBe(describePromises());
  });

  it('checks of an engine what it checks of a shard, but for what only one of them has', () => {
    const count = (subject: string) => checks.filter((check) => check.subject === subject).length;
    expect(count('log')).toBeGreaterThan(10);
    expect(count('engine')).toBeGreaterThan(40);
    expect(count('shard')).toBeGreaterThan(5);
  });
});
