import { MessageChannel } from 'node:worker_threads';
import {
  type ArchiveManifest,
  type ArchiveReader,
  openArchive,
  readManifest,
  StorageError,
  silentLogger,
  systemClock,
  systemRandom,
} from '@robustmq/core';
import type { Config, ConfiguredEngine } from '@robustmq/core/config';
import { configure } from './configure.ts';
import { usage } from './parse.ts';
import { type Call, CONFIG_FLAGS, type Flag, JSON_FLAG, type Verb } from './verb.ts';

/** Of the verbs that read the store of an archive themselves: no node need run. */
export const STORE_FLAGS: Readonly<Record<string, Flag>> = {
  ...CONFIG_FLAGS,
  engine: { value: 'INSTANCE', help: 'The engine instance that is the archive (default: the only one that can be)' },
  cluster: { value: 'ID', help: 'The cluster whose archive it is, when the store holds several' },
  manifest: { value: 'N', help: 'An older manifest than the newest; what was deleted since can not be read' },
  json: JSON_FLAG,
};

export interface Store {
  readonly config: Config;
  readonly instance: string;
  readonly reader: ArchiveReader;
  readonly manifest: ArchiveManifest;
}

/** Opens the archive that the flags name for as long as `run` takes. */
export async function withReader<T>(call: Call, run: (opened: Omit<Store, 'manifest'>) => Promise<T>): Promise<T> {
  const { flags, io } = call;
  const config = await configure(call);
  const engine = archiveIn(config, flags.get('engine'));
  const cluster = flags.get('cluster');
  // an engine's timers keep no process alive: while it waits for its next try, this one would end without a word
  const { port1: alive } = new MessageChannel();
  alive.ref();
  try {
    const reader = await openArchive(engine.definition, engine.name, {
      config: engine.config,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      signal: io.signal,
      ...(cluster === undefined ? {} : { cluster }),
    });
    try {
      return await run({ config, instance: engine.name, reader });
    } finally {
      await reader.close();
    }
  } finally {
    alive.close();
  }
}

/** The same with the manifest that they name, the newest by default. */
export async function withStore<T>(call: Call, verb: Verb, run: (store: Store) => Promise<T>): Promise<T> {
  const number = wholeFlag(call, verb, 'manifest');
  return withReader(call, async (opened) => run({ ...opened, manifest: await readManifest(opened.reader, number) }));
}

export function headline({ manifest, reader }: Store): string {
  const { number, writtenAt, instance } = manifest;
  return `Manifest ${number} of cluster ${reader.cluster} (instance ${instance} there), written at ${new Date(writtenAt).toISOString()}`;
}

/** @throws USAGE */
export function wholeFlag({ flags }: Call, verb: Verb, name: string): number | undefined {
  const text = flags.get(name);
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,15}$/.test(text)) throw usage(verb, `--${name} can't be ${JSON.stringify(text)}`);
  return Number(text);
}

function archiveIn({ engines }: Config, name: string | undefined): ConfiguredEngine {
  const able = engines.filter(({ definition }) => definition.openArchive !== undefined);
  const [only] = able;
  if (name === undefined && only !== undefined && able.length === 1) return only;
  const found = engines.find((engine) => engine.name === name);
  if (found !== undefined) return found;
  const names = able.map((engine) => engine.name).join(', ');
  throw new StorageError(
    'ENGINE_UNKNOWN',
    name === undefined ? 'which instance is the archive?' : `no engine instance is named ${name}`,
    {
      hint:
        names === ''
          ? 'None that is configured can be read by itself: name the configuration with -c'
          : `Name one with --engine: ${names}`,
    },
  );
}
