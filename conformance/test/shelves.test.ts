import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks } from '@robustmq/conformance';
import type { ArchiveReader, ArchiveShelf, EngineDefinition, Meta } from '@robustmq/core';
import memory from '@robustmq/engine-memory';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import directory from '../../core/test/archive/directory-engine.ts';
import { runScorecard, type Scorecard } from '../src/scorecard.ts';
import { openWorld, openWorldWith } from '../src/world.ts';

const ONLY = checks.filter(({ promise }) => promise.includes('`shelf`')).map(({ id }) => id);

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'robust-shelves-'));
});
afterEach(() => rm(root, { recursive: true }));

/** Of an engine whose store is a directory. */
function cardOf(definition: EngineDefinition): Promise<Scorecard> {
  const paths = new WeakMap<Meta, string>();
  let count = 0;
  const configOn = (meta: Meta): unknown => {
    const path = paths.get(meta) ?? join(root, String(count++));
    paths.set(meta, path);
    return { path };
  };
  const config = { path: join(root, 'own') };
  const reach = { config, cut: () => {}, close: async () => {} };
  const open = () => openWorldWith(definition, {}, { reach: async () => reach, configOn });
  return runScorecard(definition, { kind: 'engine', open }, { only: ONLY });
}

/** An engine whose shelf, or whose reader of it, is another one. */
function spoiled(
  spoil: {
    shelf?(shelf: ArchiveShelf): Partial<ArchiveShelf>;
    reader?(reader: ArchiveReader): Partial<ArchiveReader>;
  } = {},
): EngineDefinition {
  return {
    ...directory,
    open: async (ctx: Parameters<typeof directory.open>[0]) => {
      const engine = await directory.open(ctx);
      const { shelf } = engine;
      return shelf === undefined ? engine : { ...engine, shelf: { ...shelf, ...spoil.shelf?.(shelf) } };
    },
    openArchive: async (ctx: Parameters<NonNullable<typeof directory.openArchive>>[0]) => {
      const reader = await directory.openArchive?.(ctx);
      if (reader === undefined) throw new Error('it has one');
      return { ...reader, ...spoil.reader?.(reader) };
    },
  } as EngineDefinition; // one that takes its own settings
}

describe('checks of a shelf', () => {
  it('are passed by the smallest engine that has one', async () => {
    const card = await cardOf(spoiled());
    expect(card.failed.map(({ error }) => error.message)).toEqual([]);
    expect(card.passed).toEqual(ONLY);
  });

  it('are not for engines without', async () => {
    const definition = memory as EngineDefinition;
    const open = () => openWorld(definition, { config: { windowBytes: 4 * 1024 * 1024 } });
    const card = await runScorecard(definition, { kind: 'engine', open }, { only: ONLY });
    expect(card.notClaimed).toEqual(ONLY);
  });

  it.each([
    ['has a shelf that nothing reads', ONLY, { ...spoiled(), openArchive: undefined } as unknown as EngineDefinition],
    ['gives a place in its own memory', ['SHARD-292', 'SHARD-294'], inMemory()],
    [
      'gives another place in its next life',
      ['SHARD-292'],
      spoiled({ shelf: ({ place }) => ({ place: async (id) => ({ ...(await place(id)), life: performance.now() }) }) }),
    ],
    [
      'gives a place of a segment that is not there',
      ['SHARD-292'],
      spoiled({ shelf: () => ({ place: async (id) => ({ file: `seg/${id}` }) }) }),
    ],
    [
      'lists what holds its segments under other names',
      ['SHARD-292'],
      spoiled({ reader: ({ objectOf }) => ({ objectOf: (place) => `${objectOf(place)}.old` }) }),
    ],
    [
      'orders manifests by their names',
      ['SHARD-293'],
      spoiled({
        reader: ({ manifests }) => ({
          manifests: async (options) => (await manifests(options)).map(String).sort().map(Number),
        }),
      }),
    ],
    [
      'appends to a manifest that it has',
      ['SHARD-293'],
      spoiled({
        shelf: ({ putManifest }) => {
          const had = new Map<number, Uint8Array>();
          return {
            putManifest: async (number, bytes) => {
              had.set(number, Buffer.concat([had.get(number) ?? Buffer.alloc(0), bytes]));
              await putManifest(number, had.get(number) ?? bytes);
            },
          };
        },
      }),
    ],
    [
      'cuts long manifests',
      ['SHARD-293'],
      spoiled({
        shelf: ({ putManifest }) => ({
          putManifest: (number, bytes) => putManifest(number, bytes.subarray(0, 1 << 20)),
        }),
      }),
    ],
    ['keeps manifests', ['SHARD-293'], spoiled({ shelf: () => ({ deleteManifest: async () => {} }) })],
    [
      'adopts nothing',
      ['SHARD-294'],
      spoiled({ reader: ({ cluster }) => ({ adopt: async () => ({ incarnation: cluster }) }) }),
    ],
  ] as const)('see one that %s', async (_, ids, definition) => {
    const card = await cardOf(definition);
    expect(card.failed.map(({ id }) => id)).toEqual(ids);
  });
});

/** Its places are numbers that only this process knows. */
function inMemory(): EngineDefinition {
  let known: unknown[] = [];
  return {
    ...spoiled({
      shelf: ({ place }) => ({
        place: async (id) => ({ number: known.push(await place(id)) - 1 }),
      }),
      reader: ({ openReader, objectOf }) => {
        known = [];
        const fileOf = ({ number }: { readonly number?: unknown }) => ({
          file: String(known[Number(number)] ?? 'gone'),
        });
        return {
          openReader: (place) => openReader(fileOf(place)),
          objectOf: (place) => objectOf(fileOf(place)),
        };
      },
    }),
  };
}
