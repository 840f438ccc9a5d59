import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** As much as LevelDB may write when it opens: its log as a table, and a manifest. */
const PROBE_BYTES: number = 8 * 1024 * 1024;
const PIECE: number = 1024 * 1024;

/** Fails as long as `dir` does not take what an opening database writes. Free space alone would not tell of quotas or a sick disk. */
export async function probeWrites(dir: string): Promise<void> {
  const path = join(dir, 'PROBE');
  const file = await open(path, 'w');
  try {
    const piece = Buffer.alloc(PIECE);
    for (let at = 0; at < PROBE_BYTES; ) at += (await file.write(piece, 0, PIECE, at)).bytesWritten;
    await file.sync();
  } finally {
    await file.close();
    await unlink(path);
  }
}
