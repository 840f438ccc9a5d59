import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '@robustmq/core';
import { loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, type RunningNode, startNode } from '@robustmq/server';
import { expect, test, vi } from 'vitest';
import { type CommandResult, command, inFolder, urlOf } from './node-fixture.ts';

const ENGINE = join(import.meta.dirname, '../../core/test/archive/directory-engine.ts');

/** Archives what has been sealed for a millisecond, and keeps no copies. */
const configFor = (cwd: string): string => `
engines:
  cold: { use: ${ENGINE}, path: ${join(cwd, 'cold')} }
topics:
  - { match: "a*", archive: { to: cold, after: 1, keepLocal: 0 }, segment: { ms: 1 } }
storage: { maintenanceIntervalMs: 20, manifestIntervalMs: 20, deleteGraceMs: 0 }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

async function start(cwd: string, data: string): Promise<RunningNode> {
  const config = await loadConfig({
    file: 'robust.yaml',
    env: {},
    cwd,
    data,
    engines: FIRST_PARTY_ENGINES,
    brokers: FIRST_PARTY_BROKERS,
  });
  return startNode(config, { logger: silentLogger });
}

/** A folder with a configuration, and a store that holds ten records of a topic; the node that wrote it has stopped. */
function withArchive(
  run: (cwd: string, archive: (...words: string[]) => Promise<CommandResult>) => Promise<void>,
): Promise<void> {
  return inFolder(async (cwd) => {
    await writeFile(join(cwd, 'robust.yaml'), configFor(cwd));
    const archive = (verb = '', ...words: string[]) =>
      command(['archive', verb, ...words, '-c', 'robust.yaml'], { cwd });
    const node = await start(cwd, 'data');
    try {
      for (let i = 0; i < 10; i++) await command(['pub', 'audit', `v${i}`, '--key', `k${i}`], { node });
      await vi.waitFor(async () => expect((await archive('cat', 'audit')).out).toMatch(/v9\n$/), { timeout: 15_000 });
      const status = await command(['archive', 'status', 'audit'], { node });
      expect(status.out).toMatch(/^audit +0 +cold +/m);
      expect(status.out).toMatch(/^Manifest of cold: number \d+ of /m);
      const described = await command(['topic', 'describe', 'audit'], { node });
      expect(described.out).toMatch(/SEALED +cold/);
      const metrics = await (await fetch(`${urlOf(node)}/metrics`)).text();
      expect(metrics).toMatch(/^robust_archive_archived_bytes [1-9]/m);
      expect(metrics).toMatch(/^robust_archive_manifests_total\{instance="cold"\} [1-9]/m);
    } finally {
      await node.stop();
    }
    await run(cwd, archive);
  });
}

test('an archive is listed, read, checked and restored from its store alone', () =>
  withArchive(async (cwd, archive) => {
    expect((await archive('ls')).out).toMatch(/^Manifest \d+ of cluster [0-9a-f-]+ .*\nTOPIC .*\naudit +1 +\d+ +10 /);
    expect((await archive('ls', 'audit')).out).toMatch(/^0 +0 +\d+ .* seg\//m);
    expect((await archive('ls', '--manifests')).out).toMatch(/^(\d+\n)+$/);
    const cat = await archive('cat', 'audit', '--from', '3', '--limit', '2', '--json');
    expect(
      cat.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { shard: 0, offset: 3, key: 'k3', value: 'v3' },
      { shard: 0, offset: 4, key: 'k4', value: 'v4' },
    ]);
    expect(await archive('verify')).toMatchObject({ code: 0, out: expect.stringContaining('all are there') });

    await rm(join(cwd, 'data'), { recursive: true });
    expect(await archive('restore', '--data', 'new')).toMatchObject({ code: 2 });
    const restored = await archive('restore', '--data', 'new', '--old-cluster-is-gone', '--json');
    expect(restored).toMatchObject({ code: 0, error: '' });
    const [shard] = JSON.parse(restored.out).topics[0].shards;
    expect(shard).toMatchObject({ logStart: 0, holes: [{ base: 10 }] });
    expect(JSON.parse(restored.out).unlisted).toMatchObject({ objects: 0, later: 0 });
    expect(await archive('restore', '--data', 'new', '--old-cluster-is-gone')).toMatchObject({
      code: 1,
      error: expect.stringMatching(/^TOPIC_EXISTS/),
    });

    const node = await start(cwd, 'new');
    try {
      const values = async () => (await command(['sub', 'audit', '--from', 'start', '--no-follow'], { node })).out;
      expect(await values()).toBe(Array.from({ length: 10 }, (_, i) => `v${i}\n`).join(''));
      await command(['pub', 'audit', 'after'], { node });
      expect(await values()).toMatch(/v9\nafter\n$/);
      const last = await command(['sub', 'audit', '--from', String(shard.next), '--no-follow', '--json'], { node });
      expect(JSON.parse(last.out)).toMatchObject({ offset: shard.next, value: 'after' });
    } finally {
      await node.stop();
    }
  }));

test('a damaged segment is found by verify, which ends with 1', () =>
  withArchive(async (cwd, archive) => {
    const [cluster = ''] = await readdir(join(cwd, 'cold'));
    const files = join(cwd, 'cold', cluster, 'seg');
    const { topics } = JSON.parse((await archive('ls', '--json')).out);
    const file = join(files, topics[0].shards[0].segments[0].id);
    const bytes = await readFile(file);
    await writeFile(file, bytes.with(bytes.length - 2, 0xff ^ (bytes.at(-2) ?? 0)));
    await writeFile(join(files, 'stray'), 'nobody knows it');
    const anHourAgo = Date.now() / 1000 - 3600;
    await utimes(join(files, 'stray'), anHourAgo, anHourAgo);
    await writeFile(join(files, 'new'), 'nobody knows it yet');
    const { code, out } = await archive('verify');
    expect(code).toBe(1);
    expect(out).toMatch(/^audit +0 +0 +\d+ +CORRUPT /m);
    const unlisted = [/^ {2}seg\/stray$/m, /^ {2}seg\/new {2}\(may be later than the manifest\)$/m];
    for (const line of unlisted) expect(out).toMatch(line);
    // a restore looks at all of it too
    const restored = await archive('restore', '--data', 'new', '--old-cluster-is-gone');
    for (const line of unlisted) expect(restored.out).toMatch(line);
    expect(restored.out).not.toContain('Nothing else lies there');
  }));

test('an archive that is none, or that is not named, is a typed error', () =>
  inFolder(async (cwd) => {
    await writeFile(join(cwd, 'robust.yaml'), configFor(cwd));
    const archive = (verb = '', ...words: string[]) =>
      command(['archive', verb, ...words, '-c', 'robust.yaml'], { cwd });
    expect((await archive('ls', '--engine', 'local')).error).toMatch(/^NOT_SUPPORTED/);
    expect((await archive('ls', '--engine', 'colt')).error).toMatch(/^ENGINE_UNKNOWN.*cold/);
    expect((await archive('ls', '--manifest', 'x')).error).toMatch(/^USAGE/);
    expect((await command(['archive', 'ls'], { cwd })).error).toMatch(/^ENGINE_UNKNOWN.*-c/);
    const node = await start(cwd, 'data');
    await node.stop();
    expect((await archive('ls')).error).toMatch(/^ARCHIVE_EMPTY/);
    expect((await archive('cat', 'audit')).error).toMatch(/^ARCHIVE_EMPTY/);
  }));
