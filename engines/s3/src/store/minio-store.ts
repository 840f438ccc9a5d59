import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Clock } from '@robustmq/core';
import type { CallOptions, ListOptions, ObjectInfo, ObjectStore, PutOptions } from '@robustmq/engine-objects';
import { StoreError, withDeadline } from '@robustmq/engine-objects';
import type { Client } from 'minio';
import type { S3Settings } from '../settings.ts';
import { absentIsGone, storeError } from './classify.ts';
import { type Credentials, credentialsOf } from './credentials.ts';
import { checkRange, checkTail, readBody } from './ranges.ts';
import { wholeOf } from './whole.ts';
import { textOf, textsOf, unescapeXml } from './xml.ts';

/** Of an answer that is no object: a list of a thousand keys, at the most. */
const MAX_XML_BYTES = 16 * 1024 * 1024;

interface Request {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD';
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: readonly Uint8Array[] | string;
  readonly expected: readonly number[];
}

/**
 * The port on `minio`, which is loaded when it is first wanted. Its signing, regions and error answers are used; its own puts and gets are not: they
 * split, retry and read ahead in ways of their own.
 */
export async function openMinioStore(settings: S3Settings, clock: Clock): Promise<ObjectStore> {
  const { Client: MinioClient } = await import('minio');
  const { region, endpoint } = settings;
  const credentials = await credentialsOf(settings, clock);
  const url = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  const isTls = url.protocol === 'https:';
  const agent = new (isTls ? HttpsAgent : HttpAgent)({
    keepAlive: true,
    maxSockets: settings.hotRequests + settings.coldRequests + settings.uploads,
  });
  const exchanges = new AsyncLocalStorage<Exchange>();
  const client = new MinioClient({
    endPoint: url.hostname,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    useSSL: isTls,
    region,
    pathStyle: settings.pathStyle ?? endpoint !== undefined,
    transportAgent: agent,
    transport: transportOf(isTls ? httpsRequest : httpRequest, exchanges),
    // whoever retries must know what may have been applied
    retryOptions: { disableRetry: true },
    // the library asks it for nothing else
    credentialsProvider: { getCredentials: async () => asItsOwn(await credentials()) } as unknown as Provider,
  });
  return new MinioStore({ client, settings, clock, exchanges, closeSockets: () => agent.destroy() });
}

type ClientOptions = ConstructorParameters<typeof Client>[0];
type Provider = NonNullable<ClientOptions['credentialsProvider']>;
type Transport = NonNullable<ClientOptions['transport']>;

/** What goes into a call and out of it beside the library. */
interface Exchange {
  readonly signal: AbortSignal;
  /** Of the answer. */
  status?: number;
}

/**
 * How the library sends. It takes no signal and its errors have no status, so these come in and go out beside the call. And it drops an answer with a
 * status that it would retry, unread, with its connection: such a status is hidden from it.
 */
function transportOf(request: typeof httpRequest, exchanges: AsyncLocalStorage<Exchange>): Transport {
  const transport: Pick<Transport, 'request'> = {
    request: ((options: RequestOptions, answer: (response: IncomingMessage) => void) => {
      const exchange = exchanges.getStore();
      return request({ ...options, ...(exchange === undefined ? {} : { signal: exchange.signal }) }, (response) => {
        const { statusCode = 0 } = response;
        if (exchange !== undefined) exchange.status = statusCode;
        if (statusCode >= 500 || statusCode === 408 || statusCode === 429) response.statusCode = HIDDEN + statusCode;
        answer(response);
      });
    }) as Transport['request'], // the one of its forms that the library uses
  };
  return transport as Transport; // and the only method
}

const HIDDEN = 1000;

function asItsOwn({ accessKeyId, secretAccessKey, sessionToken }: Credentials): object {
  return {
    getAccessKey: () => accessKeyId,
    getSecretKey: () => secretAccessKey,
    getSessionToken: () => sessionToken,
  };
}

interface Parts {
  readonly client: Client;
  readonly settings: S3Settings;
  readonly clock: Clock;
  readonly exchanges: AsyncLocalStorage<Exchange>;
  closeSockets(): void;
}

class MinioStore implements ObjectStore {
  readonly where: string;
  readonly #client: Client;
  readonly #settings: S3Settings;
  readonly #clock: Clock;
  readonly #exchanges: AsyncLocalStorage<Exchange>;
  readonly #closeSockets: () => void;

  constructor({ client, settings, clock, exchanges, closeSockets }: Parts) {
    this.#client = client;
    this.#settings = settings;
    this.#clock = clock;
    this.#exchanges = exchanges;
    this.#closeSockets = closeSockets;
    this.where = `${settings.endpoint ?? `AWS ${settings.region}`}, bucket ${settings.bucket}`;
  }

  async put(key: string, body: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const request: Request = { method: 'PUT', key, headers: this.#newObject(options), body, expected: [200] };
    await this.#call(`PUT ${key}`, options, request, drained);
  }

  async getRange(key: string, at: number, bytes: number, options: CallOptions = {}): Promise<Uint8Array> {
    const headers = { range: `bytes=${at}-${at + bytes - 1}` };
    return await this.#call(
      `GET ${key}`,
      options,
      { method: 'GET', key, headers, expected: [200, 206] },
      (response) => {
        checkRange(answerOf(response), { at, bytes }, key);
        return readBody(response, bytes, bytes, key);
      },
    );
  }

  async getTail(
    key: string,
    bytes: number,
    options: CallOptions = {},
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    const request: Request = { method: 'GET', key, headers: { range: `bytes=-${bytes}` }, expected: [200, 206] };
    return await this.#call(`GET ${key}`, options, request, async (response) => {
      const length = response.headers['content-length'];
      const body = await readBody(response, length === undefined ? undefined : Number(length), bytes, key);
      return { bytes: body, size: checkTail(answerOf(response), body.length, key) };
    });
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    try {
      return await this.#call(`HEAD ${key}`, options, { method: 'HEAD', key, expected: [200] }, async (response) => {
        await drained(response);
        const uid = response.headers['x-amz-meta-uid'];
        return {
          bytes: Number(response.headers['content-length'] ?? 0),
          uid: typeof uid === 'string' ? uid : undefined,
        };
      });
    } catch (error) {
      if (error instanceof StoreError && error.trouble === 'not-found') return undefined;
      throw error;
    }
  }

  async list(options: ListOptions): ReturnType<ObjectStore['list']> {
    const { prefix, after, limit, delimiter } = options;
    const query = [
      ['delimiter', delimiter],
      ['encoding-type', 'url'],
      ['list-type', '2'],
      ['max-keys', String(limit)],
      ['prefix', prefix],
      ['start-after', after],
    ].flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]));
    const request: Request = { method: 'GET', query: query.join('&'), expected: [200] };
    const xml = await this.#call(`LIST ${prefix}`, options, request, xmlOf);
    // a store that does not know the wish gives names as they are
    const isEncoded = textOf(xml, 'EncodingType') === 'url';
    const plain = (value: string): string =>
      isEncoded ? decodeURIComponent(unescapeXml(value).replaceAll('+', ' ')) : unescapeXml(value);
    return {
      objects: textsOf(xml, 'Contents').map((entry) => ({
        key: plain(textOf(entry, 'Key') ?? ''),
        bytes: Number(textOf(entry, 'Size') ?? 0),
        putAt: Date.parse(textOf(entry, 'LastModified') ?? ''),
      })),
      prefixes: textsOf(xml, 'CommonPrefixes').map((entry) => plain(textOf(entry, 'Prefix') ?? '')),
      more: textOf(xml, 'IsTruncated') === 'true',
    };
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    await absentIsGone(this.#call(`DELETE ${key}`, options, { method: 'DELETE', key, expected: [200, 204] }, drained));
  }

  async beginUpload(key: string, options: PutOptions): Promise<string> {
    const request: Request = {
      method: 'POST',
      key,
      query: 'uploads',
      headers: this.#newObject(options),
      body: '',
      expected: [200],
    };
    const upload = textOf(await this.#call(`begin upload of ${key}`, options, request, xmlOf), 'UploadId');
    if (upload === undefined)
      throw new StoreError('server', `begin upload of ${key}: the answer has no id`, { mayBeApplied: true });
    return unescapeXml(upload);
  }

  async putPart(
    key: string,
    upload: string,
    part: number,
    body: readonly Uint8Array[],
    options: CallOptions = {},
  ): Promise<string> {
    const query = `partNumber=${part}&uploadId=${encodeURIComponent(upload)}`;
    const request: Request = { method: 'PUT', key, query, body, expected: [200] };
    return await this.#call(`PUT part ${part} of ${key}`, options, request, async (response) => {
      await drained(response);
      return response.headers.etag ?? '';
    });
  }

  async completeUpload(
    key: string,
    upload: string,
    parts: readonly string[],
    options: CallOptions = {},
  ): Promise<void> {
    const list = parts.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
    const request: Request = {
      method: 'POST',
      key,
      query: `uploadId=${encodeURIComponent(upload)}`,
      body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`,
      expected: [200],
    };
    const what = `complete upload of ${key}`;
    const xml = await this.#call(what, options, request, xmlOf);
    // a store that has sent its status may still fail, and says so in the body
    const code = textOf(xml, 'Code');
    if (code !== undefined) throw storeError({ code, message: textOf(xml, 'Message') ?? '' }, what);
  }

  async abortUpload(key: string, upload: string, options: CallOptions = {}): Promise<void> {
    const query = `uploadId=${encodeURIComponent(upload)}`;
    await absentIsGone(
      this.#call(`abort upload of ${key}`, options, { method: 'DELETE', key, query, expected: [204] }, drained),
    );
  }

  close(): void {
    this.#closeSockets();
  }

  #newObject({ uid, ifAbsent }: PutOptions): Record<string, string> {
    const { serverSideEncryption, kmsKeyId, storageClass, tags } = this.#settings;
    const tagging = new URLSearchParams(tags as Record<string, string>).toString(); // as the schema says
    return {
      'x-amz-meta-uid': uid,
      ...(ifAbsent === true ? { 'if-none-match': '*' } : {}),
      ...(serverSideEncryption === 'none' ? {} : { 'x-amz-server-side-encryption': serverSideEncryption }),
      ...(kmsKeyId === undefined ? {} : { 'x-amz-server-side-encryption-aws-kms-key-id': kmsKeyId }),
      ...(storageClass === undefined ? {} : { 'x-amz-storage-class': storageClass }),
      ...(tagging === '' ? {} : { 'x-amz-tagging': tagging }),
    };
  }

  #call<T>(
    what: string,
    { signal }: CallOptions,
    request: Request,
    read: (response: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    return withDeadline(this.#clock, this.#settings.requestTimeoutMs, { what, signal }, async (abort) => {
      const exchange: Exchange = { signal: abort };
      try {
        return await this.#exchanges.run(exchange, () => this.#send(request, read, abort));
      } catch (error) {
        if (error instanceof StoreError) throw error;
        // the library wraps what its source of credentials says
        if (error instanceof Error && error.cause instanceof StoreError) throw error.cause;
        throw storeError(failureOf(error, exchange.status), what);
      }
    });
  }

  async #send<T>(request: Request, read: (response: IncomingMessage) => Promise<T>, abort: AbortSignal): Promise<T> {
    const { method, key, headers, query, body = '', expected } = request;
    const response = await this.#client.makeRequestAsync(
      {
        method,
        bucketName: this.#settings.bucket,
        ...(key === undefined ? {} : { objectName: key }),
        ...(query === undefined ? {} : { query }),
        headers: { ...headers },
      },
      typeof body === 'string' ? body : wholeOf(body),
      [...expected],
      this.#settings.region,
    );
    const cut = (): void => void response.destroy();
    abort.addEventListener('abort', cut, { once: true });
    try {
      return await read(response);
    } catch (error) {
      response.destroy();
      throw error;
    } finally {
      abort.removeEventListener('abort', cut);
    }
  }
}

async function drained(response: IncomingMessage): Promise<void> {
  for await (const _ of response);
}

async function xmlOf(response: IncomingMessage): Promise<string> {
  return Buffer.from(await readBody(response, undefined, MAX_XML_BYTES, 'XML')).toString('utf8');
}

function answerOf(response: IncomingMessage): { status: number | undefined; contentRange: string | undefined } {
  return { status: response.statusCode, contentRange: response.headers['content-range'] };
}

function failureOf(error: unknown, status: number | undefined): Parameters<typeof storeError>[0] {
  if (!(error instanceof Error)) return { message: String(error), cause: error };
  // an answer of the store has its code; a socket's failure Node's
  const { code } = error as { code?: unknown };
  return {
    code: typeof code === 'string' && code !== '' ? code : undefined,
    // one that was well, before its body was cut, says nothing about the failure
    status: status !== undefined && status >= 300 ? status : undefined,
    message: error.message,
    cause: error,
  };
}
