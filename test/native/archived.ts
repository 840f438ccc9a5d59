import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLogger } from '@robustmq/core';
import { expect, vi } from 'vitest';
import { type CommandResult, command } from '../../server/test/node-fixture.ts';
import { type EngineSettings, startIn } from './stress.ts';

export const RECORDS = 60;
export const ALL_ARCHIVED = { timeout: 30_000, interval: 200 };

const configFor = (cold: EngineSettings): string => `
engines: { cold: ${JSON.stringify(cold)} }
topics:
  - { match: "audit", shards: 3, archive: { to: cold, after: 1, keepLocal: 0 }, segment: { ms: 1 } }
storage: { maintenanceIntervalMs: 50, manifestIntervalMs: 50, deleteGraceMs: 100 }
admin: { port: 0 }
brokers: { mqtt: { port: 0 }, kafka: { port: 0 } }
`;

/** The topic `audit` is archived to an instance with these settings as soon as that can be. */
export async function configureArchive(cwd: string, cold: EngineSettings): Promise<void> {
  await writeFile(join(cwd, 'robust.yaml'), configFor(cold));
}

/** A verb of `archive` with the configuration in that folder, in this process. */
export function archiveIn(cwd: string): (...words: string[]) => Promise<CommandResult> {
  return (...words) => command(['archive', ...words, '-c', 'robust.yaml'], { cwd });
}

/** All records of `audit` lie in the store; the node that wrote them has stopped. */
export async function fillArchive(cwd: string, cold: EngineSettings): Promise<void> {
  await configureArchive(cwd, cold);
  const archive = archiveIn(cwd);
  // in two lives: where small segments share a file, each has one of its own
  for (const until of [RECORDS / 2, RECORDS]) {
    const node = await startIn(cwd, silentLogger);
    try {
      for (let i = until - RECORDS / 2; i < until; i++)
        await command(['pub', 'audit', `v${i}`, '--key', `k${i}`], { node });
      await vi.waitFor(async () => expect(lines(await archive('cat', 'audit'))).toHaveLength(until), ALL_ARCHIVED);
    } finally {
      await node.stop();
    }
  }
}

export interface ArchivedPlaces {
  readonly cluster: string;
  readonly places: readonly { readonly object: string; readonly from?: number; at: number; bytes: number }[];
}

/** Where the segments of `audit` lie. */
export async function placesIn(cwd: string): Promise<ArchivedPlaces> {
  const archive = archiveIn(cwd);
  const { topics } = JSON.parse((await archive('ls', 'audit', '--json')).out);
  const places = topics[0].shards.flatMap(({ segments }: { segments: { place: object }[] }) =>
    segments.map(({ place }) => place),
  );
  return { cluster: /of cluster ([0-9a-f-]+)/.exec((await archive('ls')).out)?.[1] ?? '', places };
}

export const lines = ({ out }: Pick<CommandResult, 'out'>): string[] => out.trim().split('\n');
