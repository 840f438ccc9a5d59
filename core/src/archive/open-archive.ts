/** An archive without its cluster: the engine's reader of the store, with everything that it gives checked. */

import { GuardContext } from '../engine/guard-context.ts';
import { GuardedReader } from '../engine/guarded-reader.ts';
import type { ArchiveContext, ArchiveReader, EngineDefinition } from '../engine.ts';
import { RobustError, StorageError } from '../errors.ts';
import { unreadMetrics } from '../system.ts';
import { type ArchiveManifest, decodeDocument, joinTopics } from './manifest.ts';

const PAGE = 1000;

/** @throws NOT_SUPPORTED when the engine has no shelf; what the engine throws */
export async function openArchive(
  definition: EngineDefinition,
  instance: string,
  ctx: ArchiveContext,
): Promise<ArchiveReader> {
  if (definition.openArchive === undefined)
    throw new StorageError(
      'NOT_SUPPORTED',
      `engine ${definition.name} keeps no manifests: it can not be read without its cluster`,
      {
        where: `engine instance ${instance}`,
      },
    );
  const context = new GuardContext(
    { instance, clock: ctx.clock, metrics: unreadMetrics },
    definition.capabilities.maxBatchBytes,
  );
  const inner = await definition.openArchive(ctx);
  return {
    cluster: inner.cluster,
    manifests: (options) => inner.manifests(options),
    readManifest: (number) => inner.readManifest(number),
    openReader: async (place) => {
      const where = inner.objectOf(place);
      try {
        return new GuardedReader(await inner.openReader(place), context, where, false);
      } catch (error) {
        throw context.failure(error, 'open a reader', where);
      }
    },
    objects: () => inner.objects(),
    objectOf: (place) => inner.objectOf(place),
    adopt: (meta, segments) => inner.adopt(meta, segments),
    close: () => inner.close(),
  };
}

/** The newest whole manifest, or that with `number`. @throws ARCHIVE_EMPTY, CORRUPT, FORMAT_TOO_NEW */
export async function readManifest(reader: ArchiveReader, number?: number): Promise<ArchiveManifest> {
  if (number !== undefined) {
    const found = await manifestAt(reader, number);
    if (found !== undefined) return found;
    throw new StorageError('INVALID_ARGUMENT', `document ${number} is a page of a manifest`, {
      hint: 'archive ls --manifests shows which there are',
    });
  }
  const numbers = await manifestNumbers(reader);
  // pages behind the newest one are of a manifest that was never finished
  for (const newest of numbers.reverse()) {
    const found = await manifestAt(reader, newest);
    if (found !== undefined) return found;
  }
  throw new RobustError('ARCHIVE_EMPTY', `the store holds no manifest of cluster ${reader.cluster}`, {
    hint: 'Look at endpoint, bucket and prefix, and at --cluster; a cluster writes the first one within a minute after it has archived something',
  });
}

/** Numbers of all documents in the store, pages among them. */
export async function manifestNumbers(reader: ArchiveReader): Promise<number[]> {
  const numbers: number[] = [];
  for (let more = true; more; ) {
    const after = numbers.at(-1);
    const found = await reader.manifests({ ...(after === undefined ? {} : { after }), limit: PAGE });
    numbers.push(...found);
    more = found.length === PAGE;
  }
  return numbers;
}

/** @returns undefined when that document is a page */
async function manifestAt(reader: ArchiveReader, number: number): Promise<ArchiveManifest | undefined> {
  const document = decodeDocument(await reader.readManifest(number), number);
  if (document.kind === 'page') return undefined;
  const pages = [];
  for (let page = number - document.pages; page < number; page++)
    pages.push(decodeDocument(await reader.readManifest(page), page).topics);
  const { writtenAt, cluster, instance, topics } = document;
  return { number, pages: document.pages, writtenAt, cluster, instance, topics: joinTopics([...pages, topics]) };
}
