import type { JsonSchema } from '@robustmq/core';

export interface LocalFileSettings {
  readonly dir?: string;
  readonly walFileBytes: number;
  readonly walFiles: number;
  readonly ringBytes: number;
  readonly checkpointBytes: number;
  readonly markIdleMs: number;
  readonly reserveBytes: number;
  readonly writeBackBytes: number;
  readonly tailBytes: number;
  readonly indexIntervalBytes: number;
  readonly maxOpenFiles: number;
  /** For forecasts. */
  readonly prices: { readonly perGbMonth: number };
}

const MiB = 1024 * 1024;

/** The largest batch: two of them, and one more append, fit in the smallest ring. */
export const MAX_BATCH_BYTES: number = 8 * MiB;

export const DEFAULT_SETTINGS: LocalFileSettings = {
  walFileBytes: 64 * MiB,
  walFiles: 8,
  ringBytes: 32 * MiB,
  checkpointBytes: 64 * MiB,
  markIdleMs: 50,
  reserveBytes: 64 * MiB,
  writeBackBytes: MiB,
  tailBytes: 64 * MiB,
  indexIntervalBytes: 64 * 1024,
  maxOpenFiles: 2048,
  prices: { perGbMonth: 0.08 },
};

export const SETTINGS_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    dir: {
      type: 'string',
      minLength: 1,
      description: 'Directory of this instance, instead of one in the data directory of the node',
    },
    walFileBytes: size(
      'walFileBytes',
      40 * MiB,
      'Size of one file of the write-ahead log; larger than ringBytes by at least 1 MiB',
    ),
    walFiles: {
      type: 'integer',
      minimum: 3,
      maximum: 1024,
      default: DEFAULT_SETTINGS.walFiles,
      description: 'How many files the write-ahead log may have; they are written in turns',
    },
    ringBytes: size(
      'ringBytes',
      20 * MiB,
      'Memory for appends on their way to the disk, of all segments together; when it is full, writers wait',
    ),
    checkpointBytes: size(
      'checkpointBytes',
      MiB,
      'How much of the write-ahead log may wait for its segment files to be synced; what a start after a crash has to read',
    ),
    markIdleMs: {
      type: 'integer',
      minimum: 1,
      maximum: 50,
      default: DEFAULT_SETTINGS.markIdleMs,
      description: 'After so many milliseconds of quiet the end of the write-ahead log is marked as proven',
    },
    reserveBytes: size(
      'reserveBytes',
      0,
      'Free space on the disk below which appends are refused with DISK_FULL; leaves room to seal and to recover',
    ),
    writeBackBytes: size('writeBackBytes', 4096, 'A segment with this much in memory is written to its file'),
    tailBytes: size(
      'tailBytes',
      20 * MiB,
      'Memory for committed data not yet in segment files; above it all is written, at twice as much writers wait',
    ),
    indexIntervalBytes: size('indexIntervalBytes', 4096, 'Distance between two entries of the index of a segment'),
    maxOpenFiles: {
      type: 'integer',
      minimum: 16,
      maximum: 100_000,
      default: DEFAULT_SETTINGS.maxOpenFiles,
      description: 'Segment files that are kept open',
    },
    prices: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'What the disk costs, in any currency, for `robust-server cost`',
      properties: {
        perGbMonth: {
          type: 'number',
          minimum: 0,
          default: DEFAULT_SETTINGS.prices.perGbMonth,
          description: '1 GB for a month; by default of an SSD volume of AWS (gp3, us-east-1), in US dollars',
        },
      },
    },
  },
};

function size(
  name: Exclude<keyof LocalFileSettings, 'dir' | 'prices'>,
  minimum: number,
  description: string,
): JsonSchema {
  return { type: 'integer', minimum, maximum: 2 ** 30, default: DEFAULT_SETTINGS[name], description };
}
