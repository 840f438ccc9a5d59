import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ArchivePlace,
  type ArchiveReader,
  defineEngine,
  ENGINE_API_VERSION,
  type EngineContext,
  type EngineDefinition,
  forEachBatch,
  headerDigest,
  type IngestOptions,
  type IngestResult,
  type Meta,
  nextOffset,
  type SegmentReader,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';

/**
 * The smallest cold tier that can be read by itself: a file for each segment, in a directory for each cluster.
 *
 *     <path>/<cluster>/seg/<segment>        a line of JSON, the state, the batches
 *     <path>/<cluster>/manifest/<number>
 */
interface Settings {
  readonly path: string;
}

interface Head {
  readonly uid: string;
  readonly base: number;
  readonly end: number;
  readonly stateBytes: number;
  readonly bytes: number;
  readonly crc: number;
}

const CLUSTER = 'cluster';

const engine: EngineDefinition<Settings> = defineEngine<Settings>({
  name: 'directory',
  apiVersion: ENGINE_API_VERSION,
  version: '0.1.0',
  configSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['path'],
    properties: { path: { type: 'string', description: 'Where the segments lie' } },
  },
  capabilities: { durability: 'fsync', placement: 'cluster', append: false, maxBatchBytes: 4 * 1024 * 1024 },
  open: openDirectory,
  openArchive: async ({ config, cluster }) => {
    const clusters = await readdir(config.path);
    const [found] = cluster === undefined ? clusters : clusters.filter((name) => name === cluster);
    if (found === undefined || (cluster === undefined && clusters.length > 1))
      throw new StorageError('INVALID_ARGUMENT', `there are clusters ${clusters.join(', ')}`, {
        hint: 'Name one with --cluster',
      });
    return readerOf(config.path, found);
  },
});

export default engine;

async function openDirectory({ config, meta, random }: EngineContext<Settings>): Promise<StorageEngine> {
  const cluster = await clusterOf(meta, random.uuid());
  const root = join(config.path, cluster);
  const segments = join(root, 'seg');
  const manifests = join(root, 'manifest');
  for (const dir of [segments, manifests]) await mkdir(dir, { recursive: true });
  const refuse = (): Promise<never> =>
    Promise.reject(new StorageError('NOT_SUPPORTED', 'it takes whole segments only'));
  return {
    incarnation: cluster,
    create: refuse,
    recover: async (id) => {
      const reader = await readSegment(join(segments, id), id);
      return { end: reader.offsets().end };
    },
    ingest: (id, options, batches) => ingest(join(segments, id), options, batches),
    openReader: (id) => readSegment(join(segments, id), id),
    delete: (id) => rm(join(segments, id), { force: true }),
    list: async ({ prefix, after = '', limit }) =>
      (await readdir(segments))
        .filter((id) => id.startsWith(prefix) && id > after && !id.includes(' '))
        .sort()
        .slice(0, limit),
    shelf: {
      place: async (id) => {
        await readSegment(join(segments, id), id);
        return { file: `seg/${id}` };
      },
      putManifest: (number, bytes) => put(join(manifests, String(number)), [bytes]),
      deleteManifest: (number) => rm(join(manifests, String(number)), { force: true }),
    },
    close: async () => {},
  };
}

async function clusterOf(meta: Meta, made: string): Promise<string> {
  const found = await meta.get(CLUSTER);
  if (found !== undefined) return Buffer.from(found.value).toString();
  await meta.commit({ id: made, puts: [{ key: CLUSTER, value: Buffer.from(made) }] });
  return made;
}

function readerOf(path: string, cluster: string): ArchiveReader {
  const root = join(path, cluster);
  const fileOf = (place: ArchivePlace): string => String(place.file);
  return {
    cluster,
    manifests: async ({ after = 0, limit }) =>
      (await readdir(join(root, 'manifest')))
        .map(Number)
        .filter((number) => number > after)
        .sort((a, b) => a - b)
        .slice(0, limit),
    readManifest: (number) => readFile(join(root, 'manifest', String(number))),
    openReader: (place) => readSegment(join(root, fileOf(place)), fileOf(place)),
    objects: async function* () {
      for (const name of await readdir(join(root, 'seg'))) {
        const { size, mtimeMs } = await stat(join(root, 'seg', name));
        yield { name: `seg/${name}`, bytes: size, putAt: mtimeMs };
      }
    },
    objectOf: fileOf,
    adopt: async (meta, segments) => {
      for (const { place } of segments) await stat(join(root, fileOf(place)));
      if ((await clusterOf(meta, cluster)) !== cluster)
        throw new StorageError('INSTANCE_CHANGED', 'Meta knows another directory');
      return { incarnation: cluster };
    },
    close: async () => {},
  };
}

async function ingest(
  file: string,
  { base, end, state, uid }: IngestOptions,
  batches: AsyncIterable<Uint8Array>,
): Promise<IngestResult> {
  const before = await headOf(file);
  if (before !== undefined && before.head.uid !== uid)
    throw new StorageError('SEGMENT_EXISTS', 'there is such a segment');
  if (before !== undefined) return { bytes: before.head.bytes, crc: before.head.crc };
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let crc = 0;
  for await (const chunk of batches) {
    forEachBatch(chunk, (_, at) => {
      crc = headerDigest(crc, chunk, at);
    });
    chunks.push(Uint8Array.from(chunk));
    bytes += chunk.length;
  }
  const head: Head = { uid, base, end, stateBytes: state.length, bytes, crc };
  await put(file, [Buffer.from(`${JSON.stringify(head)}\n`), state, ...chunks]);
  return { bytes, crc };
}

async function put(file: string, chunks: readonly Uint8Array[]): Promise<void> {
  await using handle = await open(`${file} new`, 'w');
  await handle.writeFile(Buffer.concat(chunks));
  await handle.datasync();
  await rename(`${file} new`, file);
}

async function headOf(file: string): Promise<{ head: Head; rest: Buffer } | undefined> {
  let all: Buffer;
  try {
    all = await readFile(file);
  } catch {
    return undefined;
  }
  const ends = all.indexOf('\n');
  // written above
  return { head: JSON.parse(all.toString('utf8', 0, ends)) as Head, rest: all.subarray(ends + 1) };
}

async function readSegment(file: string, where: string): Promise<SegmentReader> {
  const found = await headOf(file);
  if (found === undefined) throw new StorageError('SEGMENT_LOST', 'there is no such file', { where });
  const { base, end, stateBytes } = found.head;
  const batches = found.rest.subarray(stateBytes);
  if (batches.length !== found.head.bytes) throw new StorageError('CORRUPT', 'the file is cut', { where });
  return {
    offsets: () => ({ base, committed: end, end, sealed: true }),
    state: async () => found.rest.subarray(0, stateBytes),
    read: async (from, { maxBytes }) => {
      let first = -1;
      let last = 0;
      let next = end;
      forEachBatch(batches, (header, at) => {
        const isWanted = nextOffset(header) > from && (first < 0 || at + header.bytes - first <= maxBytes);
        if (!isWanted || (first >= 0 && at !== last)) return;
        if (first < 0) first = at;
        last = at + header.bytes;
        next = nextOffset(header);
      });
      return first < 0 ? { bytes: new Uint8Array(0), next } : { bytes: batches.subarray(first, last), next };
    },
    offsetForTimestamp: async (timestamp) => {
      let offset: number | undefined;
      forEachBatch(batches, (header) => {
        if (offset === undefined && header.maxTimestamp >= timestamp) offset = header.baseOffset;
      });
      return offset;
    },
    close: async () => {},
  };
}
