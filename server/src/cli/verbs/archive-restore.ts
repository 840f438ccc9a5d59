import {
  type RestoredTopic,
  type RestoreReport,
  restoreArchive,
  type StrayObject,
  silentLogger,
  systemClock,
  systemRandom,
} from '@robustmq/core';
import { formatUnit } from '@robustmq/core/config';
import { openLevelMeta } from '@robustmq/meta';
import { openDataDirectory } from '../../node/data-directory.ts';
import { headline, STORE_FLAGS, type Store, withStore } from '../archive-store.ts';
import { usage } from '../parse.ts';
import { Strays } from '../strays.ts';
import { table } from '../table.ts';
import { EXIT, type Verb } from '../verb.ts';

export const archiveRestore: Verb = {
  name: 'archive restore',
  summary: 'Make topics of what an archive holds, in a new data directory; nothing is copied',
  flags: {
    ...STORE_FLAGS,
    'old-cluster-is-gone': { help: 'Needed: say that nobody else will ever write to this archive again' },
  },
  notes: [
    'The segments stay where they lie and belong to the new cluster. Offsets go on far above the last one that may have been given out.',
    'What lies in the store and is not in the manifest is not restored. It is reported, and what may be later than the manifest is marked.',
  ],
  async run(call) {
    const { flags, io } = call;
    if (!flags.has('old-cluster-is-gone'))
      throw usage(
        archiveRestore,
        'archive restore takes the archive over from the cluster that wrote it',
        'When that can never run again, say so with --old-cluster-is-gone.',
      );
    return withStore(call, archiveRestore, async (store) => {
      const strays = new Strays();
      const report = await restore(store, (object) => strays.add(object));
      if (flags.has('json')) {
        const { number, writtenAt } = store.manifest;
        io.out(
          `${JSON.stringify({ manifest: number, writtenAt, topics: report.topics, unlisted: strays.summary() })}\n`,
        );
      } else {
        io.out(`${headline(store)}\n${topicTable(report.topics)}`);
        io.out(strays.text());
        io.out(`Start with: robust-server start --data ${store.config.data} and the same configuration\n`);
      }
      return EXIT.ok;
    });
  },
};

async function restore(
  { config, reader, manifest, instance }: Store,
  stray: (object: StrayObject) => void,
): Promise<RestoreReport> {
  const data = await openDataDirectory(config.data);
  try {
    const meta = await openLevelMeta({ dir: data.metaDir, clock: systemClock, logger: silentLogger });
    try {
      return await restoreArchive({
        meta,
        clock: systemClock,
        random: systemRandom,
        reader,
        manifest,
        instance,
        engines: new Set(config.engines.map(({ name }) => name)),
        defaultEngine: config.policy.defaults.engine,
        stray,
      });
    } finally {
      await meta.close();
    }
  } finally {
    await data.release();
  }
}

function topicTable(topics: readonly RestoredTopic[]): string {
  const rows = topics.flatMap(({ name, engine, shards }) =>
    shards.map(({ shard, logStart, next, segments, bytes, holes }) => [
      name,
      shard,
      engine,
      segments,
      formatUnit('bytes', bytes),
      logStart,
      holes.map(({ base, end }) => `${base}-${end}`).join(' '),
      next,
    ]),
  );
  return table(['TOPIC', 'SHARD', 'ENGINE', 'SEGMENTS', 'BYTES', 'START', 'NOT IN THE ARCHIVE', 'GOES ON AT'], rows);
}
