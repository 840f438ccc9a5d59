import type { JsonSchema, SettingsOf } from '@robustmq/core';

const MiB = 1024 * 1024;

export const MAX_BATCH_BYTES: number = 4 * MiB;

/** What a user may write beside `use: level`. The type of the settings follows from it, so the two can't come apart. */
export const SETTINGS = {
  type: 'object',
  additionalProperties: false,
  properties: {
    dir: {
      type: 'string',
      minLength: 1,
      description: 'Directory of this instance, instead of one in the data directory of the node',
    },
    windowBytes: {
      type: 'integer',
      minimum: 2 * MAX_BATCH_BYTES,
      default: 16 * MiB,
      description: 'Bytes of appends that may be on their way to the disk; when so many are, writers wait',
    },
    reserveBytes: {
      type: 'integer',
      minimum: 0,
      default: 16 * MiB,
      description: 'Free space on the disk below which appends are refused; leaves room to seal and to recover',
    },
    cacheBytes: {
      type: 'integer',
      minimum: 0,
      default: 8 * MiB,
      description: 'Memory for blocks of the database that were read',
    },
    proofIdleMs: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 20,
      description: 'After so many milliseconds of quiet it is noted beside the database how many commits it holds',
    },
  },
} as const satisfies JsonSchema;

/** `dir` may be missing; what has a default is always there. */
export type Settings = SettingsOf<typeof SETTINGS>;
