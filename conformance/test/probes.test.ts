import {
  checks,
  type EngineWorld,
  engineConformance,
  openShardWorld,
  openWorld,
  runCheck,
  shardConformance,
} from '@robustmq/conformance';
import { encodeBatch, type SegmentWriter } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import { objectMedia, objectProbe } from './probes/object-probe.ts';
import { quorumMedia, quorumProbe } from './probes/quorum-probe.ts';
import type { Replica } from './probes/replica.ts';

const slow = (name: string, run: () => Promise<void>): void => it(name, run, 120_000);

const worlds = [
  { engine: objectProbe, config: {}, shardConfig: {} },
  // alone with a segment nobody rolls, so of the engine none goes away; above it core does
  { engine: quorumProbe, config: { climate: 'slow' }, shardConfig: { climate: 'lossy' } },
];

for (const { engine, config, shardConfig } of worlds) {
  const options = { describe, it: slow, engine, effort: 0.1 };
  engineConformance({ ...options, open: () => openWorld(engine, { config }) });
  shardConformance({ ...options, open: () => openShardWorld(engine, { config: shardConfig }) });
}

describe('a quorum that loses a replica now and then', () => {
  slow('answers as the oracle of the model allows', async () => {
    const check = checks.find(({ id }) => id === 'SHARD-230');
    if (check === undefined) throw new Error('the model has gone');
    const open = () => openWorld(quorumProbe, { config: { climate: 'lossy' } });
    await runCheck(check, quorumProbe, { kind: 'engine', open }, { effort: 0.5 });
    expect([...quorumMedia.values()].at(-1)?.outages).toBeGreaterThan(3);
  });

  slow('asks for a new segment when one is away, and for none when that one is empty', async () => {
    const { world, replicas } = await quorum();
    const writer = await create(world, 'a');
    await writer.append([batch(0)], { base: 0 });
    replicas[2].down = true;
    let refusal: unknown;
    for (let base = 1; refusal === undefined && base < 100; base++)
      await writer.append([batch(base)], { base }).catch((error: unknown) => {
        refusal = error;
      });
    expect(refusal).toMatchObject({ code: 'SEGMENT_MUST_ROLL', outcome: 'none' });
    const { end } = await writer.seal();
    const next = await create(world, 'b', end);
    await next.append([batch(end)], { base: end });
    await world.dispose();
  });

  slow('says of a disk that was replaced that it does not know, and finds the end on the others', async () => {
    const { world, replicas } = await quorum();
    const writer = await create(world, 'a');
    await Promise.all([0, 1, 2, 3].map((base) => writer.append([batch(base)], { base })));
    await world.reopen({ crash: true });
    replicas[0].wipe();
    replicas[1].down = true;
    await expect(world.engine.recover('a', { epoch: 2 })).rejects.toMatchObject({ code: 'IO_ERROR', retryable: true });
    await expect(world.engine.recover('never', { epoch: 2 })).rejects.toMatchObject({
      code: 'IO_ERROR',
      retryable: true,
    });
    replicas[1].down = false;
    expect(await world.engine.recover('a', { epoch: 2 })).toEqual({ end: 4 });
    // by now the new disk has a copy of its own
    replicas[2].down = true;
    expect(await world.engine.recover('a', { epoch: 3 })).toEqual({ end: 4 });
    await world.dispose();
  });

  slow('says lost, not unknown, when all who may have held a segment have lost their disks', async () => {
    const { world, replicas } = await quorum();
    await create(world, 'a');
    for (const replica of replicas) replica.wipe();
    await expect(world.engine.recover('a', { epoch: 2 })).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
    await world.dispose();
  });
});

describe('objects of many segments', () => {
  slow('are swept when no pointer leads to them, and never before', async () => {
    const world = await openWorld(objectProbe, { config: {} });
    const [one, two] = [await create(world, 'one'), await create(world, 'two')];
    await Promise.all([one.append([batch(0)], { base: 0 }), two.append([batch(0)], { base: 0 })]);
    await world.reopen({ crash: true });
    await world.engine.delete('one');
    const sweep = { requestBudget: 100, signal: new AbortController().signal };
    await world.engine.maintain?.(sweep);
    expect(await world.engine.recover('two', { epoch: 2 })).toEqual({ end: 1 });
    const reader = await world.engine.openReader('two');
    expect((await reader.read(0, { maxBytes: 1 })).next).toBe(1);
    await reader.close();
    expect(objects()).toBe(1);
    await world.engine.delete('two');
    await world.engine.maintain?.(sweep);
    expect(objects()).toBe(0);
    await world.dispose();
  });
});

async function quorum(): Promise<{ world: EngineWorld; replicas: [Replica, Replica, Replica] }> {
  const world = await openWorld(quorumProbe, { config: { climate: 'calm' } });
  const [a, b, c] = [...quorumMedia.values()].at(-1)?.replicas ?? [];
  if (a === undefined || b === undefined || c === undefined) throw new Error('there are no three replicas');
  return { world, replicas: [a, b, c] };
}

function create(world: EngineWorld, id: string, base = 0): Promise<SegmentWriter> {
  return world.engine.create(id, { base, epoch: 1, config: {}, state: new Uint8Array(0) });
}

function batch(baseOffset: number): Uint8Array {
  return encodeBatch([{ key: null, value: Buffer.from(`m${baseOffset}`), timestamp: 0 }], { baseOffset });
}

function objects(): number | undefined {
  return [...objectMedia.values()].at(-1)?.store.objects.size;
}
