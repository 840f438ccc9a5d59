import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encodeBatch, type Meta, type Shard, type StorageError, silentLogger } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import type { RunningNode } from '@robustmq/server';
import { expect, vi } from 'vitest';
import { MEDIUM_KEY, mediumCodec, segmentCodec, segmentKey } from '../../engines/objects/src/meta/rows.ts';
import { command, inFolder, urlOf } from '../../server/test/node-fixture.ts';
import type { StoreAtHand } from './store-at-hand.ts';
import { type EngineSettings, Log, shardOf, startIn } from './stress.ts';

export const BIN = join(import.meta.dirname, '../../bin/robust-server');
const LAKE_META = 'engines/lake/';

const configFor = (lake: EngineSettings): string => `
engines: { lake: ${JSON.stringify(lake)} }
topics:
  - { match: "lake", engine: lake }
node: { drainTimeoutMs: 1s }
storage: { maintenanceIntervalMs: 100, recoverTimeoutMs: 2s }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

export const batch = (text: string) => encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(text) }]);

export async function readyz(node: RunningNode): Promise<string> {
  return (await fetch(`${urlOf(node)}/readyz`)).text();
}

async function saysWhy(node: RunningNode, log: Log, code: RegExp, hint: RegExp): Promise<void> {
  await vi.waitFor(async () => expect(await readyz(node)).toMatch(code), { timeout: 15_000 });
  expect(await readyz(node)).toMatch(hint);
  for (const what of [code, hint]) expect(log.text).toMatch(what);
}

export async function configure(cwd: string, lake: EngineSettings): Promise<void> {
  await writeFile(join(cwd, 'robust.yaml'), configFor(lake));
}

/**
 * A node whose store can not be used starts, says in the log and on `/readyz` what is wrong and what to do, and serves what lies elsewhere. What was acknowledged before
 * is there again when the store can be used.
 */
export async function startsWithout(
  { good, bad }: { readonly good: EngineSettings; readonly bad: EngineSettings },
  code: RegExp,
  hint: RegExp,
): Promise<void> {
  await inFolder(async (cwd) => {
    await configure(cwd, good);
    await whileRunning(cwd, async (node) => {
      expect(await (await shardOf(node, 'lake')).append([batch('a')])).toMatchObject({ base: 0 });
    });
    await configure(cwd, bad);
    const log = new Log();
    await whileRunning(
      cwd,
      async (node) => {
        await saysWhy(node, log, code, hint);
        expect(await (await shardOf(node, 'elsewhere')).append([batch('b')])).toMatchObject({ base: 0 });
        const lake = await shardOf(node, 'lake');
        await expect(lake.append([batch('c')])).rejects.toMatchObject({ name: 'StorageError' });
      },
      log,
    );
    await configure(cwd, good);
    await whileRunning(cwd, async (node) => {
      expect((await valuesOf(await shardOf(node, 'lake')))[0]).toBe('a');
      expect(await valuesOf(await shardOf(node, 'elsewhere'))).toEqual(['b']);
    });
  });
}

/** A node that was started without its store says so, and uses it by itself when it is healed. */
export async function startsBefore(
  heal: () => Promise<void>,
  lake: EngineSettings,
  code: RegExp,
  hint: RegExp,
): Promise<void> {
  await inFolder(async (cwd) => {
    await configure(cwd, lake);
    const log = new Log();
    await whileRunning(
      cwd,
      async (node) => {
        await saysWhy(node, log, code, hint);
        await heal();
        const shard = await shardOf(node, 'lake');
        await vi.waitFor(async () => expect(await shard.append([batch('a')])).toMatchObject({ base: 0 }), {
          timeout: 30_000,
        });
        await vi.waitFor(async () => expect(await readyz(node)).toBe('ok\n'), { timeout: 30_000 });
      },
      log,
    );
  });
}

/** A node whose settings can not be meant does not start; the command line says why, and what to do. */
export async function refusesToStart(lake: EngineSettings, code: string, hint: RegExp): Promise<void> {
  await inFolder(async (cwd) => {
    await configure(cwd, lake);
    const words = ['start', '-c', 'robust.yaml', '--data', 'data'];
    const failure: unknown = await promisify(execFile)(BIN, words, { cwd, timeout: 60_000 }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining(code) });
    expect(failure).toMatchObject({ stderr: expect.stringMatching(hint) });
  });
}

/** A store that is another one than before, or was emptied, is not taken for the one of before. */
export async function isNotTakenFor(other: EngineSettings, before: EngineSettings): Promise<void> {
  await inFolder(async (cwd) => {
    await configure(cwd, before);
    await whileRunning(cwd, async (node) => void (await (await shardOf(node, 'lake')).append([batch('a')])));
    await configure(cwd, other);
    await expect(startIn(cwd, silentLogger)).rejects.toMatchObject({ code: 'INSTANCE_CHANGED' });
  });
}

export type Damage = 'deleted' | 'cut short' | 'changed in one bit';

/** What was done to the image of one segment behind the engine's back is told, and nothing else is touched by it. */
export async function damageIsTold(store: StoreAtHand, damage: Damage, code: string): Promise<void> {
  await inFolder(async (cwd) => {
    await configure(cwd, store.engine);
    // a segment each: a stop seals
    await whileRunning(cwd, async (node) => void (await (await shardOf(node, 'lake')).append([batch('first')])));
    let meta: Meta | undefined;
    const node = await startIn(cwd, silentLogger, { wrapMeta: (opened) => (meta = opened) });
    try {
      const shard = await shardOf(node, 'lake');
      const [first] = await shard.segments();
      const place = await vi.waitFor(async () => await imageOf(meta, first?.id ?? ''), { timeout: 30_000 });
      // before there is anything else that may come to lie in the same file
      await change(store, place, damage);
      await shard.append([batch('second')]);
    } finally {
      await node.stop();
    }
    const log = new Log();
    await whileRunning(
      cwd,
      async (again) => {
        const lake = await shardOf(again, 'lake');
        const error: unknown = await lake.read(0, { maxBytes: 1000 }).catch((reason: unknown) => reason);
        expect(error).toMatchObject({ code, hint: expect.stringMatching(/./) });
        const { hint } = error as StorageError; // so it was found
        expect((await lake.read(1, { maxBytes: 1000 })).next).toBe(2);
        expect(await lake.append([batch('third')])).toMatchObject({ base: 2 });
        const read = await command(['sub', 'lake', '--from', 'start', '--no-follow'], { node: again });
        expect(read.code).toBe(1);
        for (const told of [await readyz(again), log.text, read.error]) {
          expect(told).toContain(code);
          expect(told).toContain(hint);
        }
      },
      log,
    );
  });
}

interface ImagePlace {
  readonly cluster: string;
  readonly object: string;
  readonly from: number;
  readonly bytes: number;
}

/** @throws as long as the segment has none */
async function imageOf(meta: Meta | undefined, segment: string): Promise<ImagePlace> {
  const row = async (key: string): Promise<Uint8Array> => {
    const found = await meta?.get(`${LAKE_META}${key}`);
    if (found === undefined) throw new Error(`${key} is not in Meta`);
    return found.value;
  };
  const { cluster } = mediumCodec.decode(await row(MEDIUM_KEY), MEDIUM_KEY);
  const key = segmentKey(segment);
  const { place } = segmentCodec.decode(await row(key), key);
  if (place === undefined) throw new Error('it has no image yet');
  return { cluster, object: place.object, from: (place.from ?? 0) + place.at, bytes: place.bytes };
}

async function change(store: StoreAtHand, { cluster, object, from, bytes }: ImagePlace, damage: Damage): Promise<void> {
  if (damage === 'deleted') return await store.delete(cluster, object);
  const before = await store.read(cluster, object);
  const middle = from + (bytes >> 1);
  const after = damage === 'cut short' ? before.subarray(0, middle) : before.with(middle, 4 ^ (before[middle] ?? 0));
  await store.write(cluster, object, after);
}

export async function valuesOf(shard: Shard): Promise<string[]> {
  const { committed } = await shard.offsets();
  const values: string[] = [];
  for (let from = 0; from < committed; ) {
    const { chunks, next } = await shard.read(from, { maxBytes: 1024 * 1024 });
    for (const chunk of chunks)
      forEachBatch(chunk, (header, at) => {
        for (const { value } of decodeRecords(chunk.subarray(at, at + header.bytes)))
          values.push(Buffer.from(value ?? '').toString());
      });
    from = next;
  }
  return values;
}

export async function whileRunning(
  cwd: string,
  run: (node: RunningNode) => Promise<void>,
  log = silentLogger,
): Promise<void> {
  const node = await startIn(cwd, log);
  try {
    await run(node);
  } finally {
    await node.stop();
  }
}
