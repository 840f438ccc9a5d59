import { join } from 'node:path';
import type { FileSystem } from '@robustmq/core';
import { isMissing } from '../durable-file.ts';
import { isUnfinished } from './file-preparer.ts';
import { type GroupHeader, isPrepared, readGroupHeader, SECTOR_BYTES } from './frames.ts';
import type { ReplayFile } from './replay.ts';
import { isWalFileName, type WalFile } from './wal-files.ts';

export interface Survey {
  readonly files: readonly WalFile[];
  /** Those that hold anything at or behind the sequence that was asked for, in order. */
  readonly replay: readonly ReplayFile[];
  readonly highestSequence: number;
  readonly highestGeneration: number;
}

/** Looks at each file of the log: which turn it was written in, by its first group, or by the newest one behind damage. */
export async function surveyWal(fs: FileSystem, dir: string, fromSequence: number): Promise<Survey> {
  const files: WalFile[] = [];
  const replay: ReplayFile[] = [];
  let highestSequence = 0;
  let highestGeneration = 0;
  const names = await fs.readdir(dir).catch((error: unknown): string[] => {
    if (!isMissing(error)) throw error;
    return [];
  });
  for (const name of names.filter(isWalFileName).sort()) {
    const path = join(dir, name);
    const { size, header } = await lookInto(fs, path);
    const sequence = header?.fileSequence ?? 0;
    const needed = header !== undefined && sequence >= fromSequence;
    files.push({
      path,
      sequence,
      generation: header?.generation ?? 0,
      zeroedBytes: size,
      present: true,
      state: needed ? 'used' : 'free',
    });
    if (header === undefined) continue;
    highestSequence = Math.max(highestSequence, sequence);
    highestGeneration = Math.max(highestGeneration, header.generation);
    if (needed) replay.push({ path, sequence, generation: header.generation });
  }
  replay.sort((a, b) => a.sequence - b.sequence);
  return { files, replay, highestSequence, highestGeneration };
}

/** Of files that a crash has left half prepared. */
export async function sweepUnfinished(fs: FileSystem, dir: string): Promise<void> {
  for (const name of (await fs.readdir(dir)).filter(isUnfinished)) await fs.unlink(join(dir, name));
}

async function lookInto(
  fs: FileSystem,
  path: string,
): Promise<{ readonly size: number; readonly header: GroupHeader | undefined }> {
  const file = await fs.open(path, 'r');
  try {
    const size = await file.size();
    const first = Buffer.alloc(SECTOR_BYTES);
    await file.read(first, 0, first.length, 0);
    const header = readGroupHeader(first, 0);
    if (header !== undefined || size === 0 || isPrepared(first)) return { size, header };
    // a damaged beginning, or one that was never finished: the groups behind it, if they are newer than the file's last turn, say
    let newest: GroupHeader | undefined;
    const piece = Buffer.alloc(1024 * 1024);
    for (let from = 0; from < size; from += piece.length) {
      const count = await file.read(piece, 0, piece.length, from);
      for (let at = 0; at + SECTOR_BYTES <= count; at += SECTOR_BYTES) {
        const found = readGroupHeader(piece, at);
        if (found !== undefined && found.fileSequence > (newest?.fileSequence ?? -1)) newest = found;
      }
    }
    return { size, header: newest };
  } finally {
    await file.close();
  }
}
