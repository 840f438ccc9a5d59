import {
  ENGINE_API_VERSION,
  type EngineCapabilities,
  type EngineDefinition,
  type OpenInstanceOptions,
  openInstance,
  silentLogger,
  unreadMetrics,
} from '@robustmq/core';
import { MemoryMeta, SeededRandom, VirtualClock } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { ScriptedEngine } from './scripted-engine.ts';

describe('opening an engine instance', () => {
  it('remembers the medium, and opens it again', async () => {
    const world = newWorld();
    const engine = new ScriptedEngine();
    await (await openInstance(define(engine), world)).close();
    expect((await world.meta.get('instances/hot'))?.revision).toBe(1);
    const again = await openInstance(define(engine), world);
    expect(again).toMatchObject({ name: 'hot', health: { status: 'ok' } });
    expect((await world.meta.get('instances/hot'))?.revision).toBe(1);
  });

  it('refuses another medium under a known name, and closes what it opened', async () => {
    const world = newWorld();
    await openInstance(define(new ScriptedEngine()), world);
    const wiped = new ScriptedEngine();
    wiped.incarnation = 'another';
    await expect(openInstance(define(wiped), world)).rejects.toMatchObject({
      code: 'INSTANCE_CHANGED',
      hint: expect.stringContaining('accept-loss'),
    });
    expect(wiped.closes).toBe(1);
  });

  it('refuses another engine under a known name', async () => {
    const world = newWorld();
    await openInstance(define(new ScriptedEngine()), world);
    await expect(openInstance({ ...define(new ScriptedEngine()), name: 'other' }, world)).rejects.toMatchObject({
      code: 'INSTANCE_CHANGED',
    });
  });

  it('takes a new medium as given when the engine promises nothing past its process', async () => {
    const world = newWorld();
    const first = new ScriptedEngine();
    const second = new ScriptedEngine();
    second.incarnation = 'another';
    await openInstance(define(first, 'none'), world);
    await openInstance(define(second, 'none'), world);
    expect((await world.meta.get('instances/hot'))?.revision).toBe(2);
  });

  it('refuses a damaged row', async () => {
    const world = newWorld();
    await world.meta.commit({ id: 'x', puts: [{ key: 'instances/hot', value: new Uint8Array([1, 2]) }] });
    await expect(openInstance(define(new ScriptedEngine()), world)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each([ENGINE_API_VERSION + 0.1, 0, 1])('refuses a contract of version %s', async (apiVersion) => {
    const definition = { ...define(new ScriptedEngine()), apiVersion };
    await expect(openInstance(definition, newWorld())).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
  });

  it('tells what an engine reports about its health', async () => {
    let report = (_: { status: 'full'; detail: string }): void => {};
    const definition: EngineDefinition = {
      ...define(new ScriptedEngine()),
      open: async (ctx) => {
        report = ctx.health;
        return new ScriptedEngine();
      },
    };
    const instance = await openInstance(definition, newWorld());
    const heard: string[] = [];
    instance.onHealth(({ status }) => void heard.push(status));
    report({ status: 'full', detail: 'the disk' });
    expect(heard).toEqual(['full']);
    expect(instance.health).toEqual({ status: 'full', detail: 'the disk' });
  });

  it('gives the engine a part of Meta of its own', async () => {
    const world = newWorld();
    await openInstance(
      {
        ...define(new ScriptedEngine()),
        open: async ({ meta }) => {
          const put = await meta.commit({
            id: '1',
            guards: [{ key: 'k', revision: 0 }],
            puts: [{ key: 'k', value: new Uint8Array([1]) }],
          });
          expect(put.ok).toBe(true);
          expect(await meta.commit({ id: '2', guards: [{ key: 'k', revision: 0 }] })).toMatchObject({
            ok: false,
            key: 'k',
          });
          expect((await meta.get('k'))?.key).toBe('k');
          expect((await meta.list({ prefix: '' })).entries.map(({ key }) => key)).toEqual(['k']);
          const [deleted] = await meta.commitEach([{ id: '3', deletes: ['k'] }]);
          expect(deleted?.ok).toBe(true);
          const abort = new AbortController();
          for await (const events of meta.watch({ prefix: '', from: 0, signal: abort.signal })) {
            expect(events[0]).toMatchObject({ type: 'put', key: 'k' });
            break;
          }
          return new ScriptedEngine();
        },
      },
      world,
    );
    expect((await world.meta.list({ prefix: 'engines/' })).entries).toEqual([]);
  });
});

function define(engine: ScriptedEngine, durability: EngineCapabilities['durability'] = 'fsync'): EngineDefinition {
  return {
    name: 'scripted',
    apiVersion: ENGINE_API_VERSION,
    version: '1.0.0',
    configSchema: { type: 'object', additionalProperties: false },
    capabilities: { durability, placement: 'node', append: true, maxBatchBytes: 1024 * 1024 },
    open: async () => engine,
  };
}

function newWorld(): OpenInstanceOptions {
  return {
    instance: 'hot',
    dir: '',
    config: {},
    fs: {} as OpenInstanceOptions['fs'], // never touched here
    lock: () => Promise.reject(new Error('no directories here')),
    clock: new VirtualClock(),
    random: new SeededRandom(7),
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: new MemoryMeta(),
    signal: new AbortController().signal,
  };
}
