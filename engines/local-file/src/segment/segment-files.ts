import { join } from 'node:path';
import type { SegmentId } from '@robustmq/core';

export type FileKind = 'log' | 'index' | 'head' | 'footer';
const KINDS: readonly string[] = ['log', 'index', 'head', 'footer'];

/** Names of a segment's files. Ids are safe as file names, and every file ends in its kind. */
export class SegmentPaths {
  readonly dir: string;

  constructor(root: string) {
    this.dir = join(root, 'segments');
  }

  of(id: SegmentId, kind: FileKind): string {
    return join(this.dir, `${id}.${kind}`);
  }

  /** While it is being made: swept when it is found at open. */
  temporary(id: SegmentId, kind: FileKind): string {
    return join(this.dir, `${id}.${kind}.tmp`);
  }
}

export interface FoundFile {
  readonly id: SegmentId;
  readonly kind: FileKind;
  readonly temporary: boolean;
}

export function parseSegmentFile(name: string): FoundFile | undefined {
  const temporary = name.endsWith('.tmp');
  const rest = temporary ? name.slice(0, -4) : name;
  const dot = rest.lastIndexOf('.');
  const kind = rest.slice(dot + 1);
  return dot > 0 && KINDS.includes(kind) ? { id: rest.slice(0, dot), kind: kind as FileKind, temporary } : undefined;
}
