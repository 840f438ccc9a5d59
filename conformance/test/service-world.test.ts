import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type EngineWorld,
  openServiceShardWorld,
  openServiceWorld,
  runCheck,
  type ServiceCorner,
} from '@robustmq/conformance';
import type { EngineContext, EngineDefinition } from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import { expect, onTestFinished, test } from 'vitest';
import { batch } from '../src/batches.ts';
import { open } from '../src/checks/segments.ts';
import { checks } from '../src/promises.ts';
import http from './http-engine.ts';
import { fileServer } from './remote-files.ts';

const engine = http as EngineDefinition; // the suite's settings are any

async function service() {
  const server = await fileServer();
  const root = await mkdtemp(join(tmpdir(), 'robust-service-'));
  onTestFinished(async () => {
    await server.close();
    await rm(root, { recursive: true });
  });
  const options = {
    service: { host: '127.0.0.1', port: server.port },
    settings: ({ host, port, world }: ServiceCorner) => ({ host, port, dir: join(root, world) }),
  };
  return { server, root, options };
}

async function world(more: { adjust?: (context: Given) => Given } = {}): Promise<EngineWorld> {
  const opened = await openServiceWorld(engine, { ...(await service()).options, ...more });
  onTestFinished(() => opened.dispose());
  return opened;
}

type Given = Omit<EngineContext, 'health' | 'node' | 'usage'>;

test('what a crash has abandoned can do nothing more: not to the service, nor to Meta', async () => {
  const metas: EngineContext['meta'][] = [];
  const harness = await world({
    adjust: (context) => {
      metas.push(context.meta);
      return context;
    },
  });
  const abandoned = harness.engine;
  const writer = await open(abandoned, { id: 'a' });
  await writer.append([batch({ base: 0 })], { base: 0 });
  const appending = writer.append([batch({ base: 1 })], { base: 1 }).catch((error: { code: string }) => error.code);
  await harness.reopen({ crash: true });
  expect(await appending).toMatch(/^(IO_ERROR|WRITER_FAILED)$/);
  const before = harness.link?.requests;
  await expect(open(abandoned, { id: 'b' })).rejects.toMatchObject({ name: 'StorageError' });
  await expect(metas[0]?.get('x')).rejects.toMatchObject({ code: 'META_UNAVAILABLE' });
  expect(await metas[1]?.get('x')).toBeUndefined();
  expect(harness.link?.requests).toBe(before);
  // the next life has what was acknowledged, perhaps what was not, and nothing of what came after
  const { end } = await harness.engine.recover('a', { epoch: 2 });
  expect([1, 2]).toContain(end);
  expect(await harness.engine.list({ prefix: '', limit: 9 })).toEqual(['a']);
});

test('the link is the same over all lives of a world: a fault that was asked for comes in the next one', async () => {
  const harness = await world();
  const { link } = harness;
  if (link === undefined) throw new Error('it has no link');
  const before = link.requests;
  expect(before).toBeGreaterThan(0);
  const hits = link.fail(1, { how: 'refuse' });
  await expect(harness.reopen({ crash: false })).rejects.toThrow();
  expect(hits()).toBe(1);
  link.heal();
  await harness.reopen({ crash: false });
  expect(link.requests).toBeGreaterThan(before + 1);
  await open(harness.engine, { id: 'a' });
});

test('each world has a medium of its own, and in a workshop each Meta; the same comes back', async () => {
  const { options, root } = await service();
  const worlds = [await openServiceWorld(engine, options), await openServiceWorld(engine, options)];
  for (const one of worlds) await open(one.engine, { id: 'a' });
  const [{ workshop } = {}] = worlds;
  if (workshop === undefined) throw new Error('it has no workshop');
  const [meta, other] = [new MemoryMeta(), new MemoryMeta()];
  const dir = join(root, 'near');
  const list = async (given: MemoryMeta, id?: string): Promise<string[]> => {
    const { instance } = await workshop.open({ dir, meta: given });
    if (id !== undefined) await open(instance.engine, { id });
    const ids = await instance.engine.list({ prefix: '', limit: 9 });
    await instance.close();
    return ids;
  };
  expect([await list(meta, 'b'), await list(other), await list(meta)]).toEqual([['b'], [], ['b']]);
  expect(workshop.configOn(meta)).toEqual(workshop.configOn(meta));
  expect((await readdir(root)).length).toBe(5);
  for (const one of worlds) await one.dispose();
});

test('an address that is known only later will do; one that the settings do not name will not', async () => {
  const { options } = await service();
  const later = await openServiceShardWorld(engine, { ...options, service: async () => options.service });
  expect(await later.shard.offsets()).toMatchObject({ logStart: 0 });
  await later.dispose();
  const { host, port } = options.service;
  const settings = ({ world: name }: ServiceCorner) => ({ ...options.settings({ host, port, world: name }) });
  await expect(openServiceWorld(engine, { ...options, settings })).rejects.toThrow('the same for every port');
});

test('an engine that does not connect where it is told is caught, at the latest when its requests should fail', async () => {
  const { options } = await service();
  const check = checks.find(({ id }) => id === 'SHARD-213');
  if (check === undefined) throw new Error('there is no such check');
  const stubborn: EngineDefinition = {
    ...engine,
    open: (ctx) => {
      const config = { ...(ctx.config as object), port: options.service.port };
      return engine.open({ ...ctx, config });
    },
  };
  const stage = { kind: 'engine', open: () => openServiceWorld(stubborn, options) } as const;
  await expect(runCheck(check, stubborn, stage)).rejects.toThrow('no request came through the link');
});
