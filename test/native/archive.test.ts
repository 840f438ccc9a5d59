import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '@robustmq/core';
import { expect, test, vi } from 'vitest';
import { type CommandResult, command, inFolder } from '../../server/test/node-fixture.ts';
import { startMinio, startVersitygw } from '../real/s3-server.ts';
import { ALL_ARCHIVED, archiveIn, fillArchive, lines, placesIn, RECORDS } from './archived.ts';
import { hdfsAtHand, type OwnStore, s3AtHand } from './store-at-hand.ts';
import { type EngineSettings, startIn } from './stress.ts';

interface Archived {
  readonly store: OwnStore;
  readonly cwd: string;
  archive(...words: string[]): Promise<CommandResult>;
}

/** A store with all records of a topic, on a real server; the node that wrote them has stopped. */
function withArchive(
  startStore: () => Promise<OwnStore>,
  own: EngineSettings,
  run: (archived: Archived) => Promise<void>,
): Promise<void> {
  return inFolder(async (cwd) => {
    const store = await startStore();
    try {
      await fillArchive(cwd, { ...store.engine, ...own });
      await run({ store, cwd, archive: archiveIn(cwd) });
    } finally {
      await store.stop();
    }
  });
}

const sent = Array.from({ length: RECORDS }, (_, i) => `v${i}`).sort();

test.each([
  ['MinIO, by aws', { client: 'aws' }, () => s3AtHand(startMinio)],
  ['MinIO, by minio', { client: 'minio' }, () => s3AtHand(startMinio)],
  ['versitygw, by aws', { client: 'aws' }, () => s3AtHand(startVersitygw)],
  ['versitygw, by minio', { client: 'minio' }, () => s3AtHand(startVersitygw)],
  ['HDFS', {}, () => hdfsAtHand()],
] as const)(
  'on %s: with nothing left but the store every record is read, checked, and restored',
  { timeout: 120_000 },
  (_, own, startStore) =>
    withArchive(startStore, own, async ({ cwd, archive }) => {
      expect(lines(await archive('cat', 'audit')).sort()).toEqual(sent);
      const verified = await archive('verify');
      expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('all are there') });
      expect(verified.out).toContain('Nothing else lies there');
      await rm(join(cwd, 'data'), { recursive: true });
      expect(await archive('restore', '--data', 'new', '--old-cluster-is-gone')).toMatchObject({ code: 0, error: '' });
      const node = await startIn(cwd, silentLogger, { data: 'new' });
      try {
        const read = await command(['sub', 'audit', '--from', 'start', '--no-follow'], { node });
        expect(lines(read).sort()).toEqual(sent);
        await command(['pub', 'audit', 'after', '--key', 'z'], { node });
        await vi.waitFor(async () => expect(lines(await archive('cat', 'audit'))).toContain('after'), ALL_ARCHIVED);
      } finally {
        await node.stop();
      }
      expect(await archive('verify')).toMatchObject({ code: 0, out: expect.stringContaining('all are there') });
    }),
);

test.each([
  ['MinIO', s3AtHand],
  ['HDFS', hdfsAtHand],
] as const)(
  'on %s: what somebody changed or deleted is found, and a restore makes a hole of what is gone',
  { timeout: 120_000 },
  (_, startStore) =>
    withArchive(startStore, {}, async ({ store, cwd, archive }) => {
      const { cluster, places } = await placesIn(cwd);
      const [changed] = places;
      const gone = places.find(({ object }) => object !== changed?.object);
      if (changed === undefined || gone === undefined) throw new Error('there is only one object');
      const bytes = await store.read(cluster, changed.object);
      const middle = (changed.from ?? 0) + changed.at + Math.floor(changed.bytes / 2);
      await store.write(cluster, changed.object, bytes.with(middle, 0xff ^ (bytes[middle] ?? 0)));
      await store.delete(cluster, gone.object);
      const { code, out } = await archive('verify');
      expect(code).toBe(1);
      expect(out).toMatch(/CORRUPT/);
      expect(out).toMatch(/SEGMENT_LOST/);
      const restored = await archive('restore', '--data', 'new', '--old-cluster-is-gone', '--json');
      expect(restored.code).toBe(0);
      const { topics } = JSON.parse(restored.out);
      const segments = topics[0].shards.reduce((sum: number, shard: { segments: number }) => sum + shard.segments, 0);
      expect(segments).toBeLessThan(places.length);
    }),
);
