import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ENGINE_API_VERSION,
  type EngineCapabilities,
  type EngineContext,
  type EngineDefinition,
  type OpenInstanceOptions,
  openInstance,
  StorageError,
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
    expect(engine.closes).toBe(1);
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

  it('refuses another engine under a known name even when neither promises anything past its process', async () => {
    const world = newWorld();
    await openInstance(define(new ScriptedEngine(), 'none'), world);
    const other = { ...define(new ScriptedEngine(), 'none'), name: 'other' };
    await expect(openInstance(other, world)).rejects.toMatchObject({ code: 'INSTANCE_CHANGED' });
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
          let heard = 0;
          for await (const events of meta.watch({ prefix: '', from: 0, signal: abort.signal })) {
            heard++;
            expect(events[0]).toMatchObject({ type: 'put', key: 'k' });
            break;
          }
          expect(heard).toBe(1);
          return new ScriptedEngine();
        },
      },
      world,
    );
    expect((await world.meta.list({ prefix: 'engines/' })).entries).toEqual([]);
  });

  it.each([1024 * 1024 - 1, 0, Number.NaN, 2 ** 60])(
    'refuses an engine that takes batches of %s bytes',
    async (bytes) => {
      const definition = define(new ScriptedEngine());
      const capabilities = { ...definition.capabilities, maxBatchBytes: bytes };
      await expect(openInstance({ ...definition, capabilities }, newWorld())).rejects.toMatchObject({
        code: 'NOT_SUPPORTED',
      });
    },
  );

  it('takes an engine of the smallest batches that are allowed, and tells its claims', async () => {
    const definition = define(new ScriptedEngine());
    const instance = await openInstance(definition, newWorld());
    expect(instance.capabilities).toBe(definition.capabilities);
    expect(instance.definition).toBe(definition);
  });

  it.each([
    ['an error', new Error('no disk'), 'no disk'],
    ['a text', 'no disk', 'no disk'],
  ])('types %s of an engine that does not open', async (_what, thrown, said) => {
    const open = openInstance({ ...define(new ScriptedEngine()), open: () => Promise.reject(thrown) }, newWorld());
    await expect(open).rejects.toMatchObject({
      code: 'IO_ERROR',
      outcome: 'none',
      cause: thrown,
      hint: expect.stringContaining(said),
    });
  });

  it('leaves a typed error of an engine that does not open as it is', async () => {
    const thrown = new StorageError('DIRECTORY_LOCKED', 'taken');
    const open = openInstance({ ...define(new ScriptedEngine()), open: () => Promise.reject(thrown) }, newWorld());
    await expect(open).rejects.toBe(thrown);
  });

  it.each(['', undefined, 7])('refuses an engine whose medium has the name %s, and closes it', async (incarnation) => {
    const nameless = new ScriptedEngine();
    nameless.incarnation = incarnation as string;
    await expect(openInstance(define(nameless), newWorld())).rejects.toMatchObject({ code: 'IO_ERROR' });
    expect(nameless.closes).toBe(1);
  });

  it('refuses an engine that is none', async () => {
    const open = openInstance({ ...define(new ScriptedEngine()), open: async () => undefined as never }, newWorld());
    await expect(open).rejects.toMatchObject({ code: 'IO_ERROR' });
  });

  it('says that the medium is another one even when the engine does not close', async () => {
    const world = newWorld();
    await openInstance(define(new ScriptedEngine()), world);
    const wiped = new ScriptedEngine();
    wiped.incarnation = 'another';
    wiped.close = () => Promise.reject(new Error('stuck'));
    await expect(openInstance(define(wiped), world)).rejects.toMatchObject({ code: 'INSTANCE_CHANGED' });
  });

  it.each(['{}', '{"use":7,"incarnation":"x"}', '{"use":"scripted"}'])('refuses the row %s', async (json) => {
    const world = newWorld();
    const value = Buffer.concat([Buffer.from([0x52, 0x4d, 1, 0x49]), Buffer.from(json)]);
    await world.meta.commit({ id: 'x', puts: [{ key: 'instances/hot', value }] });
    await expect(openInstance(define(new ScriptedEngine()), world)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('judges again when another node wrote the row meanwhile', async () => {
    for (const [other, ends] of [
      ['scripted-1', 'ok'],
      ['another', 'INSTANCE_CHANGED'],
    ] as const) {
      const world = newWorld();
      const first = new ScriptedEngine();
      first.incarnation = other;
      const { meta } = world;
      let raced = false;
      const racing: OpenInstanceOptions['meta'] = {
        get: (key) => meta.get(key),
        list: (options) => meta.list(options),
        commitEach: (mutations) => meta.commitEach(mutations),
        watch: (options) => meta.watch(options),
        commit: async (mutation) => {
          if (!raced) {
            raced = true;
            await openInstance(define(first), world);
          }
          return await meta.commit(mutation);
        },
      };
      const open = openInstance(define(new ScriptedEngine()), { ...world, meta: racing }).then(
        () => 'ok',
        ({ code }) => code,
      );
      expect(await open).toBe(ends);
    }
  });

  it('tells of health to each who listens, and logs when the status changes, and now and then when the reason does', async () => {
    const logged: unknown[] = [];
    const world = newWorld();
    const note = (fields: object): void => void logged.push(fields);
    const logger = { ...silentLogger, info: note, warn: note };
    let ctx: EngineContext | undefined;
    const definition: EngineDefinition = {
      ...define(new ScriptedEngine()),
      open: async (given) => {
        ctx = given;
        return new ScriptedEngine();
      },
    };
    const instance = await openInstance(definition, { ...world, logger: { ...logger, child: () => logger } });
    ctx?.health({ status: 'ok', detail: 'fine' });
    expect(logged).toEqual([]);
    expect(instance.health.detail).toBe('fine');
    ctx?.health({ status: 'failed', detail: 'gone' });
    ctx?.health({ status: 'failed', detail: 'still' });
    expect(logged).toEqual([{ engine: 'hot', status: 'failed', detail: 'gone' }]);
    await world.clock.advance(10_000);
    expect(logged.splice(0)).toMatchObject([{ detail: 'gone' }, { detail: 'still' }]);
    ctx?.health({ status: 'failed', detail: 'still' });
    await world.clock.advance(10_000);
    for (const detail of ['for another reason', 'for a third, of file-1']) ctx?.health({ status: 'failed', detail });
    expect(logged).toEqual([]);
    await world.clock.advance(10_000);
    expect(logged.splice(0)).toMatchObject([{ detail: 'for a third, of file-1' }]);
    await world.clock.advance(10_000);
    ctx?.health({ status: 'failed', detail: 'for a third, of file-2' });
    await world.clock.advance(10_000);
    expect(logged).toEqual([]);
    ctx?.health({ status: 'ok', detail: '' });
    expect(logged.splice(0)).toEqual([{ engine: 'hot', status: 'ok', detail: '' }]);
    ctx?.health({ status: 'full', detail: 'a' });
    ctx?.health({ status: 'full', detail: 'b' });
    await instance.close();
    await world.clock.advance(60_000);
    expect(logged).toMatchObject([{ detail: 'a' }]);
    await expect(ctx?.lock('x')).rejects.toThrow('no directories here');
  });

  it('locks real directories unless it is told otherwise', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'robust-instance-'));
    try {
      const { lock: _, ...world } = newWorld();
      let held: { release(): Promise<void> } | undefined;
      const definition: EngineDefinition = {
        ...define(new ScriptedEngine()),
        open: async (ctx) => {
          held = await ctx.lock(dir);
          await expect(ctx.lock(dir)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
          return new ScriptedEngine();
        },
      };
      await openInstance(definition, world);
      await held?.release();
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('pages through its own part of Meta only', async () => {
    const world = newWorld();
    const value = new Uint8Array([1]);
    await world.meta.commit({ id: 'x', puts: ['engines/hot2/a', 'engines/ho/b'].map((key) => ({ key, value })) });
    const definition: EngineDefinition = {
      ...define(new ScriptedEngine()),
      open: async ({ meta }) => {
        expect(await meta.get('a')).toBeUndefined();
        await meta.commit({ id: '1', puts: ['p/a', 'p/b', 'q'].map((key) => ({ key, value })) });
        const keys = async (options: Parameters<typeof meta.list>[0]) =>
          (await meta.list(options)).entries.map(({ key }) => key);
        expect(await keys({ prefix: '' })).toEqual(['p/a', 'p/b', 'q']);
        expect(await keys({ prefix: 'p/', after: 'p/a' })).toEqual(['p/b']);
        return new ScriptedEngine();
      },
    };
    await openInstance(definition, world);
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

function newWorld(): OpenInstanceOptions & { readonly clock: VirtualClock } {
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
