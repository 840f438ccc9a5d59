import { type JsonSchema, StorageError } from '@robustmq/core';

/** What each is for, and its default, stands in the schema below. */
export interface S3Settings {
  readonly bucket: string;
  readonly prefix: string;
  readonly endpoint?: string;
  readonly region: string;
  readonly pathStyle?: boolean;
  readonly client: 'aws' | 'minio';
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  readonly profile?: string;
  readonly serverSideEncryption: 'none' | 'AES256' | 'aws:kms';
  readonly kmsKeyId?: string;
  readonly storageClass?: string;
  readonly tags: Readonly<Record<string, string>>;
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

const text = (description: string): JsonSchema => ({ type: 'string', minLength: 1, description });
const whole = (description: string, fallback: number, minimum: number, maximum: number): JsonSchema => ({
  type: 'integer',
  minimum,
  maximum,
  default: fallback,
  description,
});
const size = (description: string, fallback: number, minimum: number): JsonSchema => ({
  type: 'integer',
  unit: 'bytes',
  minimum,
  default: fallback,
  description,
});
const duration = (description: string, fallback: number, minimum: number): JsonSchema => ({
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

export const SETTINGS_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket'],
  properties: {
    bucket: {
      type: 'string',
      minLength: 3,
      maxLength: 63,
      description: 'The bucket; it must be there, and can be shared with others',
    },
    prefix: {
      type: 'string',
      default: '',
      maxLength: 200,
      description: 'In front of every key, such as robust/; below it each cluster has a folder of its own',
    },
    endpoint: text('URL of the store, such as http://127.0.0.1:9000 for MinIO; without one: AWS, by region'),
    region: { type: 'string', minLength: 1, default: 'us-east-1', description: 'Region of the bucket' },
    pathStyle: {
      type: 'boolean',
      description: 'The bucket stands in the path, not in the host name; true by default with an endpoint',
    },
    client: {
      type: 'string',
      enum: ['aws', 'minio'],
      default: 'aws',
      description: 'Client library: @aws-sdk/client-s3, or minio',
    },
    accessKeyId: text('With secretAccessKey; without them: environment, profile, then the role of the machine'),
    secretAccessKey: { ...text('Secret of accessKeyId; better kept in the environment'), secret: true },
    sessionToken: { ...text('Token of temporary credentials'), secret: true },
    profile: text('Profile of the shared credentials file'),
    serverSideEncryption: {
      type: 'string',
      enum: ['none', 'AES256', 'aws:kms'],
      default: 'none',
      description: 'Encryption that the store is asked for, object by object',
    },
    kmsKeyId: text('Key for aws:kms; without one the default key of the account'),
    storageClass: text('Storage class of new objects, such as STANDARD_IA; without one that of the bucket'),
    tags: {
      type: 'object',
      default: {},
      maxProperties: 10,
      additionalProperties: { type: 'string', maxLength: 256 },
      description: 'Tags of new objects',
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
  },
};

/** What the schema can't say. @throws STORE_MISCONFIGURED */
export function checkSettings({ endpoint, accessKeyId, secretAccessKey, sessionToken, ...rest }: S3Settings): void {
  if (endpoint !== undefined) {
    const url = URL.parse(endpoint);
    const isPlain = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
    if (!isPlain || !/^https?:$/.test(url.protocol))
      throw wrong(
        `endpoint is ${endpoint.replace(/\/\/[^/]*@/, '//...@')}`,
        'Give scheme, host and port only, such as http://127.0.0.1:9000',
      );
  }
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw wrong('of accessKeyId and secretAccessKey one is set', 'Set both, or none');
  if (sessionToken !== undefined && accessKeyId === undefined)
    throw wrong('sessionToken is set without accessKeyId', 'Set accessKeyId and secretAccessKey too');
  if (rest.profile !== undefined && accessKeyId !== undefined)
    throw wrong('both accessKeyId and profile are set', 'Set one of them');
  if (rest.kmsKeyId !== undefined && rest.serverSideEncryption !== 'aws:kms')
    throw wrong('kmsKeyId is set and nothing is encrypted with it', 'Set serverSideEncryption to aws:kms');
}

function wrong(message: string, hint: string): StorageError {
  return new StorageError('STORE_MISCONFIGURED', message, { hint });
}
