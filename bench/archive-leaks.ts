import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import type { S3Server } from '../test/real/s3-server.ts';

const BIN = join(import.meta.dirname, '../bin/robust-server');
const run = promisify(execFile);

interface Listed {
  readonly topics: readonly {
    readonly shards: readonly { readonly segments: readonly { place: { object: string } }[] }[];
  }[];
}

interface Described {
  readonly shards: readonly { readonly segments: readonly { id: string; instance: string }[] }[];
}

/** Objects in the bucket that no segment of the topics lies in, besides the mark, manifests and probes. Asks the bucket alone. */
export async function strayObjects(server: S3Server, bucket: string, cwd: string, topics: string[]): Promise<string[]> {
  const named = new Set<string>();
  for (const topic of topics) {
    const { stdout } = await run(BIN, ['archive', 'ls', topic, '--json', '-c', 'robust.yaml'], {
      cwd,
      maxBuffer: 1 << 28,
    });
    const listed = JSON.parse(stdout) as Listed;
    for (const { shards } of listed.topics)
      for (const { segments } of shards) for (const { place } of segments) named.add(place.object);
  }
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const strays: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket }))
    for (const { Key = '' } of page.Contents ?? []) {
      const name = Key.slice(Key.indexOf('/') + 1);
      if (!named.has(name) && !/^(medium$|manifest\/|probe\/)/.test(name)) strays.push(name);
    }
  client.destroy();
  return strays;
}

/**
 * Uploads in parts that nobody has ended, and that hold one: what was begun and died before Meta knew of it holds none, and nothing is to be paid for it. MinIO lists the uploads
 * of a key only to who knows the key, so its disk is asked: `.minio.sys/multipart/<key's hash>/<upload>/.../part.1`.
 * @throws when MinIO has no such directory: nothing was looked at
 */
export async function strayUploads(directory: string): Promise<string[]> {
  const root = join(directory, '.minio.sys/multipart');
  const files: string[] = [];
  for (const folder of await readdir(root)) files.push(...(await filesBelow(root, folder)));
  return files.filter((file) => /\/part\.\d+$/.test(file)).map((file) => `upload ${file}`);
}

/** Of a folder that may go while it is looked at. */
async function filesBelow(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(ifGone);
  const found = entries.map(async (entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? await filesBelow(root, name) : [name];
  });
  return (await Promise.all(found)).flat();
}

function ifGone(error: NodeJS.ErrnoException): [] {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
  throw error;
}

/** Segment files of the topics' own engine that no segment of a topic has. */
export async function strayFiles(admin: number, directory: string): Promise<string[]> {
  const ids = new Set<string>();
  const names = (await get<{ topics: { name: string }[] }>(admin, 'topics?internal=true')).topics;
  for (const { name } of names)
    for (const { segments } of (await get<Described>(admin, `topics/${name}`)).shards)
      for (const { id, instance } of segments) if (instance === 'local') ids.add(id);
  const files = await readdir(directory);
  return files.filter((file) => !ids.has(file.slice(0, file.indexOf('.'))));
}

export interface ArchiveAmounts {
  readonly waiting: number;
  readonly archivedBytes: number;
  readonly copies: number;
}

export async function archiveAmounts(admin: number): Promise<ArchiveAmounts> {
  interface Amounts {
    readonly waiting: { segments: number };
    readonly archived: { bytes: number };
    readonly copies: { segments: number };
  }
  const { shards } = await get<{ shards: Amounts[] }>(admin, 'archive');
  const sum = (of: (shard: Amounts) => number) => shards.reduce((total, shard) => total + of(shard), 0);
  return {
    waiting: sum(({ waiting }) => waiting.segments),
    archivedBytes: sum(({ archived }) => archived.bytes),
    copies: sum(({ copies }) => copies.segments),
  };
}

async function get<T>(admin: number, path: string): Promise<T> {
  const reply = await fetch(`http://127.0.0.1:${admin}/api/v1/${path}`);
  if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
  return (await reply.json()) as T;
}
