import { join } from 'node:path';
import { type FileSystem, type Random, StorageError } from '@robustmq/core';
import { readFile, replaceFileDurably } from './durable-file.ts';

export const FORMAT_VERSION = 1;

/**
 * What names this directory, and the version of everything in it: `INSTANCE`, two lines of text, `RMQL <version>` and a uuid that was
 * drawn when the directory was made.
 */
export async function readInstance(fs: FileSystem, dir: string): Promise<string | undefined> {
  const path = join(dir, 'INSTANCE');
  const bytes = await readFile(fs, path, 256);
  if (bytes === undefined) return undefined;
  const match = /^RMQL (\d+)\n([0-9a-f-]{36})?/.exec(bytes.toString());
  const version = Number(match?.[1]);
  if (version > FORMAT_VERSION)
    throw new StorageError(
      'FORMAT_TOO_NEW',
      `The directory has format ${version}, this release knows ${FORMAT_VERSION}`,
      {
        where: path,
        hint: 'A newer release has written it: start that one',
      },
    );
  if (match?.[2] !== undefined) return match[2];
  throw new StorageError('CORRUPT', 'The file that names the directory is damaged', {
    where: path,
    hint: `It holds the line "RMQL ${FORMAT_VERSION}" and a uuid: restore it from a copy`,
  });
}

export async function writeInstance(fs: FileSystem, dir: string, random: Random): Promise<string> {
  const incarnation = random.uuid();
  await replaceFileDurably(fs, join(dir, 'INSTANCE'), Buffer.from(`RMQL ${FORMAT_VERSION}\n${incarnation}\n`));
  return incarnation;
}
