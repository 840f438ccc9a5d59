import { readFile } from 'node:fs/promises';
import { checks, describePromises, openWorld, promises, runScorecard, settingsOf } from '@robustmq/conformance';
import type { EngineDefinition, StorageEngine } from '@robustmq/core';
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
    const asked = ['060', '070', '071', '074', '077', '080', '082', '100', '104', '125', '132', '141', '271', '279'];
    expect(card.passed).toEqual(expect.arrayContaining(asked.map((number) => `SHARD-${number}`)));
    expect(card.notClaimed).toEqual(expect.arrayContaining(['SHARD-001', 'SHARD-040', 'SHARD-094', 'SHARD-289']));
  });

  it.each([
    [
      'skips a batch',
      'SHARD-077',
      (engine: StorageEngine): void => {
        const openReader = engine.openReader.bind(engine);
        engine.openReader = async (id) => {
          const reader = await openReader(id);
          const read = reader.read.bind(reader);
          reader.read = (from, options) => read(Math.min(from + 1, reader.offsets().end), options);
          return reader;
        };
      },
    ],
    [
      'keeps what is deleted',
      'SHARD-100',
      (engine: StorageEngine): void => {
        engine.delete = async () => {};
      },
    ],
  ] as const)('sees that an engine which takes whole segments only %s', async (_, id, spoil) => {
    const cold = {
      ...memory,
      capabilities: { ...memory.capabilities, append: false },
      open: async (ctx: Parameters<typeof memory.open>[0]) => {
        const engine = await memory.open(ctx);
        spoil(engine);
        return engine;
      },
    } as EngineDefinition; // as above
    const open = () => openWorld(cold, { config: settingsOf(cold) });
    const card = await runScorecard(cold, { kind: 'engine', open }, { only: [id], timeoutMs: 3000 });
    expect(card.failed.map((failure) => failure.id)).toEqual([id]);
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
