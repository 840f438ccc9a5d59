import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Meta, Shard } from '@robustmq/core';
import type { RunningNode } from '@robustmq/server';
import { describe, expect, test, vi } from 'vitest';
import { manifestKey, manifestRowCodec } from '../../core/src/archive/manifest-row.ts';
import { Paths } from '../../engines/hdfs/src/paths.ts';
import { manifestObject } from '../../engines/objects/src/keys.ts';
import { command, inFolder, urlOf } from '../../server/test/node-fixture.ts';
import { namesBelow } from '../real/hdfs-request.ts';
import { type HdfsPair, type PairedNameNode, startHdfsPair } from '../real/hdfs-server.ts';
import { lakeOn, theActive } from './hdfs-lake.ts';
import { Producer } from './producer.ts';
import { type EngineSettings, Log, shardOf, startIn } from './stress.ts';

const PATH = '/failover';
/** How a segment comes to the archive depends on its size: together with others, behind others in a file, in a file of its own. */
const TOPICS = {
  small: { after: '500ms', segmentBytes: '64KiB', load: { inFlight: 4 } },
  middle: { after: '2s', segmentBytes: '1280KiB', load: { inFlight: 1, valueBytes: 16_384 } },
  large: { after: '3s', segmentBytes: '3MiB', load: { inFlight: 2, valueBytes: 16_384 } },
} as const;

/** A DataNode that writes for us asks each NameNode once for its next block. */
const GIVES_UP = { 'dfs.client.failover.max.attempts': 1, 'dfs.blocksize': 4 * 1024 * 1024 };

const RULES = Object.entries(TOPICS).map(
  ([name, { after, segmentBytes }]) =>
    `  - { match: "${name}", archive: { to: lake, after: ${after}, keepLocal: 0 }, segment: { bytes: ${segmentBytes} } }`,
);

const configFor = (lake: EngineSettings, rules = RULES): string => `
engines: { lake: ${JSON.stringify(lake)} }
topics:
${rules.join('\n')}
storage: { maintenanceIntervalMs: 100, manifestIntervalMs: 500, deleteGraceMs: 100 }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

test('a node archives on when the active NameNode is killed: nothing is lost, and nothing is left', async () => {
  const pair = await startHdfsPair({ automatic: true });
  try {
    await archiveThroughAFailover(pair);
  } finally {
    await pair.stop();
  }
}, 240_000);

describe('A segment of 40 MiB that is on its way when the active NameNode is killed', () => {
  test.each([
    ['by a DataNode that asks the other one then', {}, false],
    ['by a DataNode that gives up at the end of a block', GIVES_UP, true],
  ] as const)(
    '%s, is archived as soon as the other one serves',
    async (what, settings, breaks) => {
      const pair = await startHdfsPair({ automatic: true, settings });
      try {
        await killWhileOneIsUnderway(pair, what, breaks);
      } finally {
        await pair.stop();
      }
    },
    240_000,
  );
});

const HUGE_MIB = 40;
/** It is full before it is old enough. */
const HUGE = `  - { match: "huge", archive: { to: lake, after: 10s, keepLocal: 0 }, segment: { bytes: ${HUGE_MIB}MiB } }`;

async function killWhileOneIsUnderway(pair: HdfsPair, what: string, breaks: boolean): Promise<void> {
  await inFolder(async (cwd) => {
    const lake = lakeOn(pair, { path: PATH, orphanGraceMs: '1s', fileBytes: '2MiB' });
    await writeFile(join(cwd, 'robust.yaml'), configFor(lake, [...RULES, HUGE]));
    let meta: Meta | undefined;
    const node = await startIn(cwd, new Log(), { wrapMeta: (opened) => (meta = opened) });
    try {
      const shard = await shardOf(node, 'huge');
      const producer = new Producer(shard, 'huge', { inFlight: 4, valueBytes: 128 * 1024 });
      const beside = new Producer(await shardOf(node, 'small'), 'small', TOPICS.small.load);
      const active = await theActive(pair);
      await vi.waitFor(async () => expect((await shard.segments()).length).toBe(3), { timeout: 60_000, interval: 50 });
      await producer.finish();
      const { base, ofBytes } = await underway(node);
      const killed = performance.now();
      await active.kill();
      expect(ofBytes).toBeGreaterThan(32 * 1024 * 1024);
      const sinceKill = (): number => Math.round(performance.now() - killed);
      const [sent] = await Promise.all([sentAgain(node, base, sinceKill), untilArchived(shard, base)]);
      const afterMs = sinceKill();
      await untilAllArchived(shard);
      await beside.finish();
      await untilAllArchived(await shardOf(node, 'small'));
      const metrics = await (await fetch(`${urlOf(node)}/metrics`)).text();
      const failures = Number(/^robust_move_failures_total (\d+)/m.exec(metrics)?.[1]);
      console.log(`a stream ${what}: ${sent}, archived ${afterMs} ms after the kill, ${failures} moves failed`);
      expect(afterMs).toBeLessThan(30_000);
      if (breaks) expect(failures).toBeGreaterThan(0);
      for (const one of [producer, beside]) await one.check();
      await nothingIsLeft(await theActive(pair), meta);
    } finally {
      await node.stop();
    }
  });
}

/** Waits until a segment is archived, or half of it has been sent once more after its stream broke. */
async function sentAgain({ storage }: RunningNode, base: number, sinceKill: () => number): Promise<string> {
  let broken: number | undefined;
  for (;;) {
    const [{ moving, failed, waiting } = { waiting: { segments: 0 } }] = (await storage.archiveStatus('huge')).shards;
    if (failed !== undefined) broken ??= sinceKill();
    const isSent = moving?.base === base && moving.bytes > moving.ofBytes / 2;
    if (broken !== undefined && isSent)
      return `broken after ${broken} ms, half of it sent again after ${sinceKill()} ms`;
    if (moving === undefined ? waiting.segments === 0 : moving.base > base) return 'not broken';
    await sleep(5);
  }
}

/** Waits until a part of a segment, and not all of it, has been sent. */
async function underway({ storage }: RunningNode): Promise<{ readonly base: number; readonly ofBytes: number }> {
  for (;;) {
    const [{ moving } = {}] = (await storage.archiveStatus('huge')).shards;
    if (moving !== undefined && moving.bytes > moving.ofBytes / 8 && moving.bytes < moving.ofBytes / 2) return moving;
    await turn();
  }
}

async function archiveThroughAFailover(pair: HdfsPair): Promise<void> {
  await inFolder(async (cwd) => {
    await writeFile(
      join(cwd, 'robust.yaml'),
      configFor(lakeOn(pair, { path: PATH, fileBytes: '2MiB', orphanGraceMs: '1s' })),
    );
    let meta: Meta | undefined;
    let node = await startIn(cwd, new Log(), { wrapMeta: (opened) => (meta = opened) });
    try {
      const producers: { readonly name: string; readonly shard: Shard; readonly producer: Producer }[] = [];
      for (const [name, { load }] of Object.entries(TOPICS)) {
        const shard = await shardOf(node, name);
        producers.push({ name, shard, producer: new Producer(shard, name, load) });
      }
      for (const { shard } of producers) await untilArchived(shard, 0);
      const active = await theActive(pair);
      const marks = await Promise.all(
        producers.map(async ({ shard }) => {
          const base = (await shard.segments()).find(({ instance }) => instance !== 'lake')?.base ?? 0;
          return { base, committed: (await shard.offsets()).committed };
        }),
      );
      const killed = performance.now();
      await active.kill();
      await Promise.all(
        producers.map(async ({ name, shard }, i) => {
          const { base, committed } = marks[i] ?? { base: 0, committed: 0 };
          const sinceKill = async (from: number): Promise<number> => {
            await untilArchived(shard, from);
            return Math.round(performance.now() - killed);
          };
          const [nextMs, newMs] = await Promise.all([sinceKill(base), sinceKill(committed)]);
          console.log(`${name}: archived ${nextMs} ms after the kill, and what was written after it after ${newMs} ms`);
        }),
      );
      await Promise.all(producers.map(({ producer }) => producer.finish()));
      for (const { shard, producer } of producers) {
        await untilAllArchived(shard);
        await producer.check();
      }
      // the life that was in the middle of it tidies up itself
      await nothingIsLeft(await theActive(pair), meta);
      await active.start();
      await node.stop();
      node = await startIn(cwd, new Log(), { wrapMeta: (opened) => (meta = opened) });
      for (const { name, producer } of producers) await producer.check(await shardOf(node, name));
      await nothingIsLeft(await theActive(pair), meta);
      const verified = await command(['archive', 'verify', '-c', 'robust.yaml'], { cwd });
      expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('Nothing else lies there') });
    } finally {
      await node.stop();
    }
  });
}

/** Waits for a segment in the archive that begins at the offset or above. */
async function untilArchived(shard: Shard, from: number): Promise<void> {
  await vi.waitFor(
    async () => {
      const archived = (await shard.segments()).filter(({ instance }) => instance === 'lake');
      expect(archived.some(({ base }) => base >= from)).toBe(true);
    },
    { timeout: 60_000, interval: 50 },
  );
}

async function untilAllArchived(shard: Shard): Promise<void> {
  await vi.waitFor(
    async () => {
      for (const { instance, state } of await shard.segments()) expect([instance, state]).toEqual(['lake', 'SEALED']);
    },
    { timeout: 60_000, interval: 100 },
  );
}

/** In HDFS there is nothing but what a row of Meta leads to, the mark and the manifests, once what is in doubt has been swept. */
async function nothingIsLeft(nameNode: PairedNameNode, meta: Meta | undefined): Promise<void> {
  const [cluster = ''] = await namesBelow(nameNode, PATH).then((names) => names.map((name) => name.split('/')[0]));
  const root = `${PATH}/${cluster}`;
  const paths = new Paths(PATH, '');
  await vi.waitFor(
    async () => {
      const rows = await rowsBelow(meta, 'engines/lake/o/');
      const objects = ['medium', ...rows, ...(await manifestsOf(meta)).map(manifestObject)];
      const known = objects.map((object) => paths.of(`${cluster}/${object}`).slice(root.length + 1));
      const names = await namesBelow(nameNode, root);
      // of directories those stay that every life has
      const strays = names.filter((name) => !known.includes(name) && !/^(tmp|tmp\/[^/]+|probe)\/$/.test(name));
      expect(strays).toEqual([]);
      expect(known.filter((name) => !names.includes(name))).toEqual([]);
      expect(known.length).toBeGreaterThan(3);
    },
    { timeout: 30_000, interval: 200 },
  );
}

async function manifestsOf(meta: Meta | undefined): Promise<number[]> {
  const key = manifestKey('lake');
  const found = await meta?.get(key);
  if (found === undefined) return [];
  return manifestRowCodec
    .decode(found.value, key)
    .durable.flatMap(({ number, pages }) => Array.from({ length: pages + 1 }, (_, i) => number - i));
}

async function rowsBelow(meta: Meta | undefined, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for (let more = meta !== undefined; more; ) {
    const after = keys.at(-1);
    const page = await meta?.list({ prefix, ...(after === undefined ? {} : { after }) });
    keys.push(...(page?.entries ?? []).map(({ key }) => key));
    more = page?.more ?? false;
  }
  return keys.map((key) => key.slice(prefix.length));
}
