import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type DiskImage, PAGE_BYTES, SparseBytes } from '@robustmq/core/testing';

/** Makes the directories and files of `image` in `dir`, with holes where there are zeros. */
export async function writeImage(image: DiskImage, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const path of image.directories) await mkdir(join(dir, path), { recursive: true });
  for (const [path, bytes] of image.files) await writeSparse(join(dir, path), bytes);
}

/** What lies in `dir`, but for the lock. */
export async function readImage(dir: string): Promise<DiskImage> {
  const image: DiskImage = { directories: [], files: new Map() };
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const path = relative(dir, join(entry.parentPath, entry.name));
    if (path.startsWith('LOCK.level')) continue;
    if (entry.isDirectory()) image.directories.push(path);
    else if (entry.isFile()) image.files.set(path, sparse(await readFile(join(dir, path))));
  }
  return image;
}

function sparse(bytes: Buffer): SparseBytes {
  const pages = new SparseBytes();
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const page = bytes.subarray(at, at + PAGE_BYTES);
    pages.write(at, page.length, page.every((byte) => byte === 0) ? undefined : page);
  }
  return pages;
}

/** The same for images that nobody could tell apart. */
export function digestImage(image: DiskImage): string {
  const hash = createHash('sha1');
  for (const path of [...image.directories].sort()) hash.update(`${path}/\n`);
  for (const [path, bytes] of [...image.files].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path}\n${bytes.digest()}\n`);
  return hash.digest('hex');
}

async function writeSparse(path: string, bytes: SparseBytes): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.truncate(bytes.size);
    const pages = [...bytes.pages].sort(([a], [b]) => a - b);
    for (let from = 0; from < pages.length; ) {
      const first = pages[from]?.[0] ?? 0;
      let to = from + 1;
      while (to < pages.length && pages[to]?.[0] === first + to - from) to++;
      const run = Buffer.concat(pages.slice(from, to).map(([, page]) => page));
      const at = first * PAGE_BYTES;
      await file.write(run, 0, Math.min(run.length, bytes.size - at), at);
      from = to;
    }
  } finally {
    await file.close();
  }
}
