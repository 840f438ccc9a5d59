import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isDiskFull, lockDirectory, nodeFileSystem, RobustError, StorageError } from '@robustmq/core';

/** Of the layout of the data directory. An older server refuses a newer one. */
export const DATA_FORMAT = 1;

/** What a data directory holds:
 *
 *     FORMAT              what it is, its format version
 *     LOCK.level/         held while a node runs
 *     meta/               the Meta Service's database
 *     engines/<instance>/ each engine instance's own
 */
export interface DataDirectory {
  readonly path: string;
  readonly metaDir: string;
  engineDir(instance: string): string;
  release(): Promise<void>;
}

const FORMAT_FILE = 'FORMAT';
/** What may lie in a directory that is not ours yet. */
const HARMLESS = new Set(['LOCK.level', 'FORMAT.new', 'lost+found']);

/**
 * Takes the directory for this process, making it when it is not there.
 * @throws DIRECTORY_LOCKED, FORMAT_TOO_NEW, CORRUPT, DATA_FOREIGN, DISK_FULL, DATA_UNUSABLE
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  try {
    await mkdir(path, { recursive: true });
    await refuseForeign(path);
    const lock = await lockDirectory(path);
    try {
      await checkFormat(path);
      await mkdir(join(path, 'meta'), { recursive: true });
    } catch (error) {
      await lock.release();
      throw error;
    }
    return {
      path,
      metaDir: join(path, 'meta'),
      engineDir: (instance) => join(path, 'engines', instance),
      release: () => lock.release(),
    };
  } catch (error) {
    if (error instanceof RobustError) throw error;
    if (isDiskFull(error))
      throw new StorageError('DISK_FULL', 'the disk of the data directory has no room left', {
        where: path,
        hint: 'Free space there, then start again',
        cause: error,
      });
    const reason = error instanceof Error ? error.message : String(error);
    throw new RobustError('DATA_UNUSABLE', `the data directory ${path} can't be used: ${reason}`, {
      hint: 'Choose one that this user may write, with --data DIR or data: in the config',
      cause: error,
    });
  }
}

/** A directory full of somebody else's files was surely named by mistake. */
async function refuseForeign(path: string): Promise<void> {
  const names = await readdir(path);
  if (names.includes(FORMAT_FILE)) return;
  const foreign = names.filter((name) => !HARMLESS.has(name));
  if (foreign.length === 0) return;
  throw new RobustError(
    'DATA_FOREIGN',
    `${path} is not empty and is no data directory of RobustMQ: it has ${foreign.slice(0, 3).join(', ')}`,
    { hint: `Name an empty or new directory. If it was one of ours, its file ${FORMAT_FILE} is gone: restore it` },
  );
}

async function checkFormat(path: string): Promise<void> {
  const file = join(path, FORMAT_FILE);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return writeFormat(path, file);
  const format = parseFormat(text);
  if (format === undefined)
    throw new StorageError('CORRUPT', `the file says ${JSON.stringify(text.slice(0, 40))}`, {
      where: file,
      hint: `It should hold the line "robustmq data ${DATA_FORMAT}" for data written by this server; restore it`,
    });
  if (format > DATA_FORMAT)
    throw new StorageError('FORMAT_TOO_NEW', `the data has format ${format}, this server knows up to ${DATA_FORMAT}`, {
      where: path,
      hint: 'Start the newer server that wrote it, or use another data directory',
    });
}

function parseFormat(text: string): number | undefined {
  const match = /^robustmq data ([1-9][0-9]{0,8})\n$/.exec(text);
  return match === null ? undefined : Number(match[1]);
}

/** Whole or not at all, whatever moment the power fails. */
async function writeFormat(path: string, file: string): Promise<void> {
  const draft = `${file}.new`;
  await using handle = await open(draft, 'w');
  await handle.writeFile(`robustmq data ${DATA_FORMAT}\n`);
  await handle.datasync();
  await rename(draft, file);
  await nodeFileSystem.syncDirectory(path);
}
