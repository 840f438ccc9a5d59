import { closeSync, openSync } from 'node:fs';
import { openWorld, runCheck } from '@robustmq/conformance';
import type { EngineContext, EngineDefinition, StorageEngine } from '@robustmq/core';
import memory from '@robustmq/engine-memory';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Facts } from '../src/check.ts';
import { crowdChecks } from '../src/checks/crowds.ts';
import { leakChecks } from '../src/checks/leaks.ts';
import { type Flaws, tinyFileEngine } from './tiny-file-engine.ts';

const SOUND = memory as EngineDefinition; // opened with the configuration that it asks for
const config = { limitBytes: 256 * 1024 * 1024 };

async function run(id: string, definition: EngineDefinition, effort = 1): Promise<Facts> {
  const check = [...crowdChecks, ...leakChecks].find((one) => one.id === id);
  if (check === undefined) throw new Error(`no ${id}`);
  let facts: Facts = {};
  const open = () => openWorld(definition, { config: definition.name === 'tiny' ? {} : config });
  const onFacts = (more: Facts): void => {
    facts = { ...facts, ...more };
  };
  const ran = await runCheck(check, definition, { kind: 'engine', open }, { onFacts, effort });
  expect(ran).toBe(true);
  return facts;
}

/** The memory engine, with something done beside each opening and each creation. */
function careless(beside: {
  open?(ctx: EngineContext): void;
  create?(ctx: EngineContext): void;
  list?(ids: string[]): string[];
}): EngineDefinition {
  return {
    ...SOUND,
    open: async (ctx) => {
      beside.open?.(ctx);
      const engine = await SOUND.open(ctx);
      const create: StorageEngine['create'] = (id, options) => {
        beside.create?.(ctx);
        return engine.create(id, options);
      };
      const list: StorageEngine['list'] = async (options) => {
        const ids = await engine.list(options);
        return beside.list?.(ids) ?? ids;
      };
      return new Proxy(engine, {
        get: (target, name) => {
          if (name === 'create') return create;
          if (name === 'list') return list;
          const own: unknown = Reflect.get(target, name);
          return typeof own === 'function' ? own.bind(target) : own;
        },
      });
    },
  };
}

describe('checks of crowds and of what is left behind', () => {
  it.each(['SHARD-250', 'SHARD-133', 'SHARD-134', 'SHARD-135', 'SHARD-136'])('%s passes a sound engine', async (id) => {
    await run(id, tinyFileEngine());
  });

  it('say how one of many was made to fail', async () => {
    expect(await run('SHARD-250', tinyFileEngine())).toEqual({ crowdFault: 'a file of one segment, and a copy' });
    expect((await run('SHARD-250', SOUND)).crowdFault).toMatch(/^a copy alone: /);
  });

  it('say when there were too few idle segments to count descriptors by', async () => {
    expect(await run('SHARD-251', SOUND, 1e-9)).toEqual({
      idleSegments: '500, too few to say anything of descriptors',
    });
  });

  const timers: NodeJS.Timeout[] = [];
  const buffers: Buffer[] = [];
  const files: number[] = [];
  it.each<[string, string, EngineDefinition]>([
    ['fails all when one fails', 'SHARD-250', tinyFileEngine({ failsTogether: true })],
    ['has a timer for each segment', 'SHARD-251', careless({ create: ({ clock }) => clock.timer(1e6, () => {}) })],
    [
      'has a large buffer for each segment',
      'SHARD-251',
      careless({ create: () => buffers.push(Buffer.alloc(50_000)) }),
    ],
    ['keeps a file for each life', 'SHARD-133', careless({ open: () => files.push(openSync('/dev/null', 'r')) })],
    ['leaves a timer behind', 'SHARD-134', careless({ open: ({ clock }) => clock.timer(1e6, () => {}) })],
    ['keeps the process alive', 'SHARD-134', careless({ open: () => timers.push(setInterval(() => {}, 1e6)) })],
    ['keeps a buffer for each life', 'SHARD-135', careless({ open: () => buffers.push(Buffer.alloc(3e6)) })],
  ])('catch an engine that %s', { timeout: 60_000 }, async (_, id, definition) => {
    const failure: unknown = await run(id, definition).catch((error: unknown) => error);
    for (const timer of timers.splice(0)) clearInterval(timer);
    for (const file of files.splice(0)) closeSync(file);
    buffers.length = 0;
    expect(failure).toBeInstanceOf(Error);
    expect((failure as Error).message).toContain(`${id} MUST`);
  });

  it('catch an engine that rejects a promise nobody hears of', async () => {
    // the test runner takes them for its own
    const listeners = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    onTestFinished(() => {
      for (const listener of listeners) process.on('unhandledRejection', listener);
    });
    const flaws: Flaws = { floats: true };
    await expect(run('SHARD-136', tinyFileEngine(flaws))).rejects.toThrow('SHARD-136 MUST');
  });
});
