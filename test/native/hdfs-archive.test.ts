import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Meta, Shard } from '@robustmq/core';
import { expect, test, vi } from 'vitest';
import { manifestKey, manifestRowCodec } from '../../core/src/archive/manifest-row.ts';
import { Paths } from '../../engines/hdfs/src/paths.ts';
import { manifestObject } from '../../engines/objects/src/keys.ts';
import { command, inFolder } from '../../server/test/node-fixture.ts';
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

const configFor = (lake: EngineSettings): string => `
engines: { lake: ${JSON.stringify(lake)} }
topics:
${Object.entries(TOPICS)
  .map(
    ([name, { after, segmentBytes }]) =>
      `  - { match: "${name}", archive: { to: lake, after: ${after}, keepLocal: 0 }, segment: { bytes: ${segmentBytes} } }`,
  )
  .join('\n')}
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

async function archiveThroughAFailover(pair: HdfsPair): Promise<void> {
  await inFolder(async (cwd) => {
    await writeFile(
      join(cwd, 'robust.yaml'),
      configFor(lakeOn(pair, { path: PATH, fileBytes: '2MiB', orphanGraceMs: '1s' })),
    );
    let node = await startIn(cwd, new Log());
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
      await active.start();
      await node.stop();
      let meta: Meta | undefined;
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

/** In HDFS there is nothing but what a row of Meta leads to, the mark and the manifests, once the lives that are over have been swept. */
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
      const strays = names.filter((name) => !known.includes(name) && !/^(tmp|probe)\/$/.test(name));
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
