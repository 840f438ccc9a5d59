import { type JsonSchema, StorageError } from '@robustmq/core';
import { OBJECT_PROPERTIES, type ObjectSettings, text } from '@robustmq/engine-objects';

/** What each is for, and its default, stands in the schema below. */
export interface S3Settings extends ObjectSettings {
  readonly bucket: string;
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
}

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
    ...OBJECT_PROPERTIES,
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
