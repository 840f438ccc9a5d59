import type { JsonSchema } from '@robustmq/core';

/** What every engine on a store of objects can be told. What each is for, and its default, stands in the schema below. */
export interface ObjectSettings {
  readonly prefix: string;
  readonly requestTimeoutMs: number;
  readonly patienceMs: number;
  readonly flushBytes: number;
  readonly flushIntervalMs: number;
  readonly idleFlushMs: number;
  readonly uploads: number;
  readonly windowBytes: number;
  readonly cacheBytes: number;
  readonly pieceBytes: number;
  readonly readAheadPieces: number;
  readonly blockBytes: number;
  readonly partBytes: number;
  readonly partsAtOnce: number;
  readonly hotRequests: number;
  readonly coldRequests: number;
  readonly coldGetsPerSecond: number;
  readonly orphanGraceMs: number;
  readonly requestBudget: { readonly putsPerHour?: number; readonly getsPerHour?: number };
  readonly prices: Prices;
}

export interface Prices {
  readonly per1000Puts: number;
  readonly per1000Gets: number;
  readonly perGbMonth: number;
  readonly perGbRead: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

/** The largest batch. An append of two of them is the least that the window has room for. */
export const MAX_BATCH_BYTES: number = 8 * MiB;

export const text = (description: string): JsonSchema => ({ type: 'string', minLength: 1, description });
export const whole = (description: string, fallback: number, minimum: number, maximum: number): JsonSchema => ({
  type: 'integer',
  minimum,
  maximum,
  default: fallback,
  description,
});
export const size = (description: string, fallback: number, minimum: number): JsonSchema => ({
  type: 'integer',
  unit: 'bytes',
  minimum,
  default: fallback,
  description,
});
export const duration = (description: string, fallback: number, minimum: number): JsonSchema => ({
  type: 'integer',
  unit: 'ms',
  minimum,
  default: fallback,
  description,
});
const price = (description: string, fallback: number): JsonSchema => ({
  type: 'number',
  minimum: 0,
  default: fallback,
  description,
});

export const OBJECT_PROPERTIES: Readonly<Record<string, JsonSchema>> = {
  prefix: {
    type: 'string',
    default: '',
    maxLength: 200,
    description: 'In front of every key, such as robust/; below it each cluster has a folder of its own',
  },
  requestTimeoutMs: duration('How long one request may take', 20_000, 100),
  patienceMs: duration('How long a failed request is tried again before the operation fails', 30_000, 0),
  flushBytes: size('A write-ahead object is put when it has so many bytes', 8 * MiB, 64 * KiB),
  flushIntervalMs: duration('Time between two write-ahead objects of a busy node', 250, 1),
  idleFlushMs: duration('How long the first append after a pause waits for others', 10, 0),
  uploads: whole('Write-ahead objects on their way at once', 8, 1, 64),
  windowBytes: size(
    'Memory for appends that are not durable yet; when it is full, writers wait',
    64 * MiB,
    2 * MAX_BATCH_BYTES,
  ),
  cacheBytes: size('Memory for pieces of objects that were written or read lately', 128 * MiB, 8 * MiB),
  pieceBytes: size('Objects are read in aligned pieces of so many bytes', 4 * MiB, 64 * KiB),
  readAheadPieces: whole('Most pieces that are fetched ahead of a reader', 8, 0, 64),
  blockBytes: size('Batches of a sealed segment that share an entry of its index', 256 * KiB, 4 * KiB),
  partBytes: size('Large objects are put in parts of so many bytes', 16 * MiB, 5 * MiB),
  partsAtOnce: whole('Parts of one object on their way at once', 3, 1, 16),
  hotRequests: whole('Requests for live data at once', 32, 1, 512),
  coldRequests: whole('Reads of sealed segments at once', 16, 1, 512),
  coldGetsPerSecond: whole('Most reads of sealed segments per second', 200, 1, 100_000),
  orphanGraceMs: duration('How long what a crash may have left behind is kept before it is swept', 86_400_000, 1000),
  requestBudget: {
    type: 'object',
    additionalProperties: false,
    default: {},
    description: 'Requests that this instance may make; writers wait when it is used up',
    properties: {
      putsPerHour: {
        type: 'integer',
        minimum: 60,
        description: 'PUT, POST and LIST, parts of uploads too; without one: no limit',
      },
      getsPerHour: { type: 'integer', minimum: 60, description: 'GET and HEAD; without one: no limit' },
    },
  },
  prices: {
    type: 'object',
    additionalProperties: false,
    default: {},
    description:
      'What the store costs, in any currency; the defaults are those of S3 Standard in us-east-1, in US dollars',
    properties: {
      per1000Puts: price('1,000 PUT, POST or LIST', 0.005),
      per1000Gets: price('1,000 GET or HEAD', 0.0004),
      perGbMonth: price('Storage of 1 GB for a month', 0.023),
      perGbRead: price('1 GB read; 0 within a region', 0),
    },
  },
};
