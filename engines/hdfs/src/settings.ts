import { type JsonSchema, StorageError } from '@robustmq/core';
import { duration, OBJECT_PROPERTIES, type ObjectSettings, size, text, whole } from '@robustmq/engine-objects';

const MiB = 1024 * 1024;

/** What each is for, and its default, stands in the schema below. */
export interface HdfsSettings extends Omit<ObjectSettings, FixedName> {
  readonly nameNodes: readonly string[];
  readonly path: string;
  readonly user?: string;
  readonly delegationToken?: string;
  readonly delegationTokenFile?: string;
  readonly authorize?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly nameNodeTimeoutMs: number;
  readonly fileBytes: number;
  readonly replication?: number;
}

type FixedName = 'uploads' | 'partBytes' | 'partsAtOnce';

/** What a file takes one after the other: flushes of the log, and parts of a stream, of which one is written while the next is gathered. */
const FIXED: Pick<ObjectSettings, FixedName> = { uploads: 1, partBytes: 4 * MiB, partsAtOnce: 2 };

/** What the shared part of the engine wants to know. */
export function objectSettings(settings: HdfsSettings): HdfsSettings & ObjectSettings {
  return { ...settings, ...FIXED };
}

const { uploads: _uploads, partBytes: _partBytes, partsAtOnce: _partsAtOnce, ...shared } = OBJECT_PROPERTIES;

const price = (description: string, fallback = 0): JsonSchema => ({
  type: 'number',
  minimum: 0,
  default: fallback,
  description,
});

export const SETTINGS_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['nameNodes'],
  properties: {
    nameNodes: {
      type: 'array',
      minItems: 1,
      maxItems: 8,
      items: { type: 'string', minLength: 1 },
      description:
        'Addresses of WebHDFS: all NameNodes of the cluster, such as http://nn1:9870; or a gateway with its path, such as https://knox:8443/gateway/default/webhdfs/v1',
    },
    path: {
      type: 'string',
      default: '/robust',
      pattern: '^(/[^/]+)+$',
      maxLength: 1000,
      description: 'The directory in HDFS; it is made when it is not there',
    },
    user: text('Sent as user.name, where the cluster asks for no proof of it'),
    delegationToken: { ...text('A delegation token, in place of user'), secret: true },
    delegationTokenFile: text(
      'A file with a delegation token in one line of text: read at the start, again when it changes, and when the cluster refuses the token',
    ),
    authorize: text(
      'A module (path, or name of a package) whose default export is called with {method, url} before each request and gives its headers: for SPNEGO and the like',
    ),
    caFile: text('Certificates (PEM) that https addresses are held against, beside those that Node knows'),
    certFile: text('Certificate (PEM) that is shown to the servers; with keyFile'),
    keyFile: text('Key (PEM) of certFile'),
    nameNodeTimeoutMs: duration(
      'How long a NameNode may take to answer, before the next one is asked where there is one',
      5000,
      100,
    ),
    fileBytes: size('Small segments, and what is appended, share a file until it has so many bytes', 128 * MiB, MiB),
    replication: {
      type: 'integer',
      minimum: 1,
      maximum: 512,
      description: 'Copies of each block; without it what the cluster has by default',
    },
    ...shared,
    flushIntervalMs: duration('Time between two appends to the log of a busy node', 1000, 1),
    idleFlushMs: duration('How long the first append after a pause waits for others', 10, 0),
    pieceBytes: size('Files are read in aligned pieces of so many bytes', 8 * MiB, 64 * 1024),
    // a file is streamed in one of them, from what another one reads
    hotRequests: whole('Requests for live data at once', 16, 2, 512),
    coldRequests: whole('Reads of sealed segments at once', 8, 1, 512),
    prices: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description:
        'What the store costs, in any currency, for `robust-server cost` and the metrics; by default three copies on disks of AWS (st1, us-east-1), in US dollars, and no request',
      properties: {
        per1000Puts: price('1,000 writes: of a file, behind a file, of a part of a large one'),
        per1000Gets: price('1,000 reads'),
        perGbMonth: price('Storage of 1 GB for a month, all of its copies together', 0.135),
        perGbRead: price('1 GB read'),
      },
    },
  },
};

/** Where WebHDFS answers, below an address without a path. */
const API_PATH = '/webhdfs/v1';

/** What the schema can't say. @returns where WebHDFS answers @throws STORE_MISCONFIGURED */
export function checkSettings(settings: HdfsSettings): URL[] {
  const { nameNodes, path, prefix, certFile, keyFile } = settings;
  if ((certFile === undefined) !== (keyFile === undefined))
    throw wrong('of certFile and keyFile one is set', 'Set both, or none');
  const names = (['user', 'delegationToken', 'delegationTokenFile'] as const).filter(
    (name) => settings[name] !== undefined,
  );
  if (names.length > 1) throw wrong(`${names.join(' and ')} are set`, 'Set one of them: a token says whose it is');
  if (!`${path}/${prefix}cluster`.split('/').slice(1).every(isName))
    throw wrong(
      `path and prefix are ${JSON.stringify(path)} and ${JSON.stringify(prefix)}`,
      'HDFS has no names with a colon, and none that are empty, `.` or `..`',
    );
  return nameNodes.map((address) => {
    const url = URL.parse(address);
    if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '')
      throw wrong(
        `nameNodes has ${JSON.stringify(withoutSecrets(address))}`,
        'Give scheme, host and the port of WebHDFS (not of RPC), such as http://nn1:9870',
      );
    url.pathname = url.pathname === '/' ? API_PATH : url.pathname.replace(/\/+$/, '');
    return url;
  });
}

/** As far as a password or a token may begin. */
function withoutSecrets(address: string): string {
  return address.replace(/[?#].*$/s, '').replace(/\/\/.*@/s, '//...@');
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes(':');
}

function wrong(message: string, hint: string): StorageError {
  return new StorageError('STORE_MISCONFIGURED', message, { hint });
}
