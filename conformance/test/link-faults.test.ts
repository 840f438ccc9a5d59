import { type EngineHarness, flakyProxy, openWorld, runCheck } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import { expect, onTestFinished, test } from 'vitest';
import type { Facts } from '../src/check.ts';
import { ioFaultChecks, laterIoFaultChecks } from '../src/checks/io-faults.ts';
import { fileServer, remoteFiles } from './remote-files.ts';
import { tinyFileEngine } from './tiny-file-engine.ts';

/** The harness of an engine whose data lies behind a connection, as its author would write it. */
async function remote(definition: EngineDefinition): Promise<EngineHarness> {
  const service = await fileServer();
  const proxy = await flakyProxy({ port: service.port });
  const { host, port } = proxy;
  const lock = async () => ({ release: async () => {} });
  const world = await openWorld(definition, {
    config: {},
    adjust: (context) => ({ ...context, fs: remoteFiles({ host, port, dir: context.dir }), lock }),
  });
  onTestFinished(async () => {
    await proxy.close();
    await service.close();
  });
  return {
    get engine() {
      return world.engine;
    },
    canCrash: false,
    link: proxy,
    reopen: (options) => world.reopen(options),
    dispose: () => world.dispose(),
  };
}

async function run(id: string, definition: EngineDefinition, effort = 1): Promise<Facts> {
  const check = [...ioFaultChecks, ...laterIoFaultChecks].find((one) => one.id === id);
  if (check === undefined) throw new Error(`no ${id}`);
  let facts: Facts = {};
  const onFacts = (more: Facts): void => {
    facts = { ...facts, ...more };
  };
  const ran = await runCheck(
    check,
    definition,
    { kind: 'engine', open: () => remote(definition) },
    { onFacts, effort },
  );
  expect(ran).toBe(true);
  return facts;
}

test('each request of an engine that talks to a service is carried out and its reply lost, once', {
  timeout: 60_000,
}, async () => {
  // time for all of them, on a busy machine, too
  const { faultSteps } = await run('SHARD-213', tinyFileEngine(), 5);
  if (typeof faultSteps !== 'object') throw new Error('no requests were counted');
  expect(faultSteps.tried).toBeGreaterThan(30);
  // two runs may differ by a request or two
  expect(faultSteps.tried).toBeGreaterThanOrEqual(0.9 * faultSteps.of);
});

test('without time for all of them some requests go wrong, and the card says how many there are', async () => {
  const { faultSteps } = await run('SHARD-210', tinyFileEngine(), 1e-9);
  if (typeof faultSteps !== 'object') throw new Error('no requests were counted');
  expect(faultSteps.tried).toBe(1);
  expect(faultSteps.of).toBeGreaterThan(30);
});

test('an engine behind a connection that takes a lost reply for a failure is caught', async () => {
  await expect(run('SHARD-213', tinyFileEngine({ failedMeansNone: true }))).rejects.toThrow('certainly not applied');
});

test('each request after a restart is refused once, and what was acknowledged is still there', async () => {
  const { failedReads } = await run('SHARD-287', tinyFileEngine());
  if (typeof failedReads !== 'object') throw new Error('no requests were counted');
  expect(failedReads.tried).toBeGreaterThan(3);
  await expect(run('SHARD-287', tinyFileEngine({ takesAFailedReadForTheEnd: true }))).rejects.toThrow('SHARD-287 MUST');
});

test('slow replies of a service: order and visibility hold, and nothing is acknowledged without one', async () => {
  await run('SHARD-215', tinyFileEngine());
  await run('SHARD-216', tinyFileEngine());
  await expect(run('SHARD-215', tinyFileEngine({ commitsByArrival: true }))).rejects.toThrow('SHARD-215 MUST');
});
