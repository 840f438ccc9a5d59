import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type {
  GetObjectCommandOutput,
  PutObjectCommandInput,
  S3Client,
  S3ClientConfig,
  ServerSideEncryption,
  StorageClass,
} from '@aws-sdk/client-s3';
import type { Clock } from '@robustmq/core';
import type { CallOptions, ListOptions, ObjectInfo, ObjectStore, PutOptions } from '@robustmq/engine-objects';
import { StoreError, withDeadline } from '@robustmq/engine-objects';
import type { S3Settings } from '../settings.ts';
import { absentIsGone, storeError } from './classify.ts';
import { credentialsOf } from './credentials.ts';
import { checkRange, checkTail, readBody } from './ranges.ts';
import { wholeOf } from './whole.ts';

type Sdk = typeof import('@aws-sdk/client-s3');

/** The port on `@aws-sdk/client-s3`, which is loaded when it is first wanted. */
export async function openAwsStore(settings: S3Settings, clock: Clock): Promise<ObjectStore> {
  const sdk = await import('@aws-sdk/client-s3');
  const { endpoint, region } = settings;
  const sockets = settings.hotRequests + settings.coldRequests + settings.uploads;
  const agents = {
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets: sockets }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: sockets }),
  };
  const config: S3ClientConfig = {
    region,
    // whoever retries must know what may have been applied
    maxAttempts: 1,
    requestHandler: { ...agents, connectionTimeout: settings.requestTimeoutMs },
    forcePathStyle: settings.pathStyle ?? endpoint !== undefined,
    credentials: Object.assign(await credentialsOf(settings, clock), { memoized: true }),
    // a turn of the connection for every large body
    expectContinueHeader: false,
    // other stores than AWS know some of the checksums only
    ...(endpoint === undefined
      ? {}
      : {
          endpoint,
          requestChecksumCalculation: 'WHEN_REQUIRED' as const,
          responseChecksumValidation: 'WHEN_REQUIRED' as const,
        }),
  };
  return new AwsStore(sdk, new sdk.S3Client(config), settings, clock, () => {
    agents.httpAgent.destroy();
    agents.httpsAgent.destroy();
  });
}

class AwsStore implements ObjectStore {
  readonly where: string;
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #settings: S3Settings;
  readonly #clock: Clock;
  readonly #closeSockets: () => void;

  constructor(sdk: Sdk, client: S3Client, settings: S3Settings, clock: Clock, closeSockets: () => void) {
    this.#sdk = sdk;
    this.#client = client;
    this.#settings = settings;
    this.#clock = clock;
    this.#closeSockets = closeSockets;
    this.where = `${settings.endpoint ?? `AWS ${settings.region}`}, bucket ${settings.bucket}`;
  }

  async put(key: string, body: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const { PutObjectCommand } = this.#sdk;
    const input = { ...this.#newObject(key, options), Body: wholeOf(body) };
    await this.#call(`PUT ${key}`, options, (abortSignal) =>
      this.#client.send(new PutObjectCommand(input), { abortSignal }),
    );
  }

  async getRange(key: string, at: number, bytes: number, options: CallOptions = {}): Promise<Uint8Array> {
    const range = `bytes=${at}-${at + bytes - 1}`;
    return await this.#get(key, range, options, async (output) => {
      checkRange({ status: output.$metadata.httpStatusCode, contentRange: output.ContentRange }, { at, bytes }, key);
      return await readBody(bodyOf(output), bytes, bytes, key);
    });
  }

  async getTail(
    key: string,
    bytes: number,
    options: CallOptions = {},
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    return await this.#get(key, `bytes=-${bytes}`, options, async (output) => {
      const body = await readBody(bodyOf(output), output.ContentLength, bytes, key);
      const answer = { status: output.$metadata.httpStatusCode, contentRange: output.ContentRange };
      return { bytes: body, size: checkTail(answer, body.length, key) };
    });
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    const { HeadObjectCommand } = this.#sdk;
    try {
      const output = await this.#call(`HEAD ${key}`, options, (abortSignal) =>
        this.#client.send(new HeadObjectCommand({ Bucket: this.#settings.bucket, Key: key }), { abortSignal }),
      );
      return { bytes: output.ContentLength ?? 0, uid: output.Metadata?.uid };
    } catch (error) {
      if (error instanceof StoreError && error.trouble === 'not-found') return undefined;
      throw error;
    }
  }

  async list(options: ListOptions): ReturnType<ObjectStore['list']> {
    const { ListObjectsV2Command } = this.#sdk;
    const { prefix, after, limit, delimiter } = options;
    const input = {
      Bucket: this.#settings.bucket,
      Prefix: prefix,
      MaxKeys: limit,
      ...(after === undefined ? {} : { StartAfter: after }),
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
    };
    const output = await this.#call(`LIST ${prefix}`, options, (abortSignal) =>
      this.#client.send(new ListObjectsV2Command(input), { abortSignal }),
    );
    return {
      objects: (output.Contents ?? []).map(({ Key = '', Size = 0, LastModified }) => ({
        key: Key,
        bytes: Size,
        putAt: LastModified?.getTime() ?? 0,
      })),
      prefixes: (output.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
      more: output.IsTruncated === true,
    };
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    const { DeleteObjectCommand } = this.#sdk;
    await absentIsGone(
      this.#call(`DELETE ${key}`, options, (abortSignal) =>
        this.#client.send(new DeleteObjectCommand({ Bucket: this.#settings.bucket, Key: key }), { abortSignal }),
      ),
    );
  }

  async beginUpload(key: string, options: PutOptions): Promise<string> {
    const { CreateMultipartUploadCommand } = this.#sdk;
    const output = await this.#call(`begin upload of ${key}`, options, (abortSignal) =>
      this.#client.send(new CreateMultipartUploadCommand(this.#newObject(key, options)), { abortSignal }),
    );
    if (output.UploadId === undefined)
      throw new StoreError('server', `begin upload of ${key}: the answer has no id`, { mayBeApplied: true });
    return output.UploadId;
  }

  async putPart(
    key: string,
    upload: string,
    part: number,
    body: readonly Uint8Array[],
    options: CallOptions = {},
  ): Promise<string> {
    const { UploadPartCommand } = this.#sdk;
    const input = {
      Bucket: this.#settings.bucket,
      Key: key,
      UploadId: upload,
      PartNumber: part,
      Body: wholeOf(body),
    };
    const output = await this.#call(`PUT part ${part} of ${key}`, options, (abortSignal) =>
      this.#client.send(new UploadPartCommand(input), { abortSignal }),
    );
    return output.ETag ?? '';
  }

  async completeUpload(
    key: string,
    upload: string,
    parts: readonly string[],
    options: CallOptions = {},
  ): Promise<void> {
    const { CompleteMultipartUploadCommand } = this.#sdk;
    const input = {
      Bucket: this.#settings.bucket,
      Key: key,
      UploadId: upload,
      MultipartUpload: { Parts: parts.map((ETag, i) => ({ ETag, PartNumber: i + 1 })) },
    };
    await this.#call(`complete upload of ${key}`, options, (abortSignal) =>
      this.#client.send(new CompleteMultipartUploadCommand(input), { abortSignal }),
    );
  }

  async abortUpload(key: string, upload: string, options: CallOptions = {}): Promise<void> {
    const { AbortMultipartUploadCommand } = this.#sdk;
    const input = { Bucket: this.#settings.bucket, Key: key, UploadId: upload };
    await absentIsGone(
      this.#call(`abort upload of ${key}`, options, (abortSignal) =>
        this.#client.send(new AbortMultipartUploadCommand(input), { abortSignal }),
      ),
    );
  }

  close(): void {
    this.#client.destroy();
    this.#closeSockets();
  }

  #newObject(key: string, { uid, ifAbsent }: PutOptions): Omit<PutObjectCommandInput, 'Body'> {
    const { bucket, serverSideEncryption, kmsKeyId, storageClass, tags } = this.#settings;
    const tagging = new URLSearchParams(tags as Record<string, string>).toString(); // as the schema says
    return {
      Bucket: bucket,
      Key: key,
      Metadata: { uid },
      ...(ifAbsent === true ? { IfNoneMatch: '*' } : {}),
      ...(serverSideEncryption === 'none'
        ? {}
        : { ServerSideEncryption: serverSideEncryption as ServerSideEncryption }),
      ...(kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId }),
      ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }), // the store says if it knows it
      ...(tagging === '' ? {} : { Tagging: tagging }),
    };
  }

  async #get<T>(
    key: string,
    range: string,
    options: CallOptions,
    read: (output: GetObjectCommandOutput) => Promise<T>,
  ): Promise<T> {
    const { GetObjectCommand } = this.#sdk;
    return await this.#call(`GET ${key}`, options, async (abortSignal) => {
      const input = { Bucket: this.#settings.bucket, Key: key, Range: range };
      const output = await this.#client.send(new GetObjectCommand(input), { abortSignal });
      const body = bodyOf(output);
      // the library lets go of its signal once it has headers
      const cut = (): void => void body.destroy();
      abortSignal.addEventListener('abort', cut, { once: true });
      try {
        return await read(output);
      } catch (error) {
        // what is left of it would keep the connection
        body.destroy();
        throw error;
      } finally {
        abortSignal.removeEventListener('abort', cut);
      }
    });
  }

  #call<T>(what: string, { signal }: CallOptions, run: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(this.#clock, this.#settings.requestTimeoutMs, { what, signal }, async (abortSignal) => {
      try {
        return await run(abortSignal);
      } catch (error) {
        if (error instanceof StoreError) throw error;
        throw storeError(failureOf(error), what);
      }
    });
  }
}

type Body = AsyncIterable<Uint8Array> & { destroy(): unknown };

function bodyOf(output: GetObjectCommandOutput): Body {
  // in Node it is an IncomingMessage
  return output.Body as unknown as Body;
}

function failureOf(error: unknown): Parameters<typeof storeError>[0] {
  if (!(error instanceof Error)) return { message: String(error), cause: error };
  // what the library's errors carry beside their name: that of the store, or of a socket
  const { name, message } = error;
  const { $metadata, code } = error as { $metadata?: { httpStatusCode?: number }; code?: unknown };
  const generic =
    name === 'Error' || name === 'TypeError' || name === 'UnknownError' || name === '403' || name === '400';
  return {
    code: typeof code === 'string' ? code : generic ? undefined : name,
    status: $metadata?.httpStatusCode,
    message,
    cause: error,
  };
}
