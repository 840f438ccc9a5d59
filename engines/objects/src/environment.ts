import type { Clock, Logger, Random, SegmentReader } from '@robustmq/core';
import type { ObjectNames } from './keys.ts';
import type { GrowingFile } from './log/growing-file.ts';
import type { Life } from './meta/life.ts';
import type { Place, SegmentRow } from './meta/rows.ts';
import type { SteadyMeta } from './meta/steady-meta.ts';
import type { ObjectTable } from './objects.ts';
import type { ReadObject } from './segment/pointers.ts';
import type { SteadyStore } from './store/steady-store.ts';

/** Files are few and large: what is smaller than `fileBytes` is appended to one, until that has them. */
export interface Files {
  readonly fileBytes: number;
  readonly pack: GrowingFile;
}

/** What the parts of one open instance share. */
export interface Environment {
  readonly names: ObjectNames;
  readonly store: SteadyStore;
  readonly meta: SteadyMeta;
  readonly life: Life;
  readonly objects: ObjectTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly blockBytes: number;
  readonly partBytes: number;
  /** Of a store of files. */
  readonly files: Files | undefined;
  /** Reads of a segment's runs, through the cache. */
  readRuns(segment: string): ReadObject;
  /** @throws SEGMENT_LOST, CORRUPT, FORMAT_TOO_NEW */
  openImage(segment: string, row: Pick<SegmentRow, 'uid' | 'base' | 'end'>, place: Place): Promise<SegmentReader>;
  /** An object could not be put, as far as anybody knows: nothing leads to it and nothing will, and it is deleted once it can not arrive any more. */
  doubt(object: string): void;
  /** A try to put an object ended without a word, and another one put it: the first may still arrive. */
  strayed(object: string): void;
  /** What is cached of an object goes. */
  forget(object: string): void;
}
