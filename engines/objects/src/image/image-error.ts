import { StorageError } from '@robustmq/core';
import type { FormatTrouble, Placement } from './format.ts';

const HINT = 'Put the object back as it was, or give the segment up with `topic recover --accept-loss`';

export function corrupt(place: Placement, what: string): StorageError {
  return new StorageError('CORRUPT', `The stored segment is damaged: ${what}`, { where: whereOf(place), hint: HINT });
}

export function troubleOf(place: Placement, trouble: FormatTrouble): StorageError {
  if (trouble.trouble === 'damaged') return corrupt(place, trouble.what);
  return new StorageError(
    'FORMAT_TOO_NEW',
    `The segment is of format version ${trouble.version}, this release reads 1`,
    {
      where: whereOf(place),
      hint: 'Start the release that wrote it, or a later one',
    },
  );
}

function whereOf({ key, at, bytes }: Placement): string {
  return at === 0 ? key : `${key}, ${bytes} bytes from ${at}`;
}
