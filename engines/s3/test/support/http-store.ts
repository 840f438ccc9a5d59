import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StoreError } from '../../../objects/src/store/port.ts';
import { answer, type Bucket } from '../../../objects/test/support/bucket.ts';

/** A request as the wire has it. */
export interface WireRequest {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface HttpStoreOptions {
  readonly bucket: Bucket;
  /** Answers in place of the bucket where it returns true. Called when the request has arrived whole. */
  readonly interfere?: (request: WireRequest, response: ServerResponse) => boolean | Promise<boolean>;
}

/** The S3 protocol, as far as our clients speak it, in front of a {@link Bucket}: unsigned, for bodies and errors that no real server gives on demand. */
export class HttpStore {
  readonly requests: WireRequest[] = [];
  readonly #options: HttpStoreOptions;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  private constructor(options: HttpStoreOptions) {
    this.#options = options;
  }

  static async start(options: HttpStoreOptions): Promise<HttpStore> {
    const store = new HttpStore(options);
    await new Promise<void>((resolve) => store.#server.listen(0, '127.0.0.1', resolve));
    return store;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`; // it listens on a port
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
    );
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', 'http://store');
    const [, , ...rest] = url.pathname.split('/');
    const chunks: Buffer[] = [];
    // a client that goes away in the middle has asked for nothing
    try {
      for await (const chunk of message) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const request: WireRequest = {
      method: message.method ?? '',
      key: decodeURIComponent(rest.join('/')),
      query: url.searchParams,
      headers: message.headers,
      body: Buffer.concat(chunks),
    };
    this.requests.push(request);
    try {
      if ((await this.#options.interfere?.(request, response)) === true) return;
      this.#answer(request, response);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      sendError(response, error.status ?? 400, error.code ?? 'InvalidRequest', request.method);
    }
  }

  #answer(request: WireRequest, response: ServerResponse): void {
    const { method, key, query, body } = request;
    const upload = query.get('uploadId');
    if (method === 'PUT' && upload !== null)
      response
        .setHeader('ETag', this.#options.bucket.putPart(key, upload, Number(query.get('partNumber')), body))
        .end();
    else if (method === 'PUT') this.#put(request, response);
    else if (method === 'HEAD') this.#head(key, response);
    else if (method === 'GET' && key === '') this.#list(query, response);
    else if (method === 'GET') this.#get(request, response);
    else if (method === 'DELETE') this.#delete(key, upload, response);
    else this.#post(request, response);
  }

  #put({ key, headers, body }: WireRequest, response: ServerResponse): void {
    if (headers['if-none-match'] === '*') this.#options.bucket.create(key, body, uidOf(headers));
    else this.#options.bucket.put(key, body, uidOf(headers));
    response.setHeader('ETag', '"whole"').end();
  }

  #head(key: string, response: ServerResponse): void {
    const { bytes, uid } = this.#options.bucket.get(key);
    response.setHeader('x-amz-meta-uid', uid).setHeader('Content-Length', bytes.length).end();
  }

  #get({ key, headers }: WireRequest, response: ServerResponse): void {
    const { bytes } = this.#options.bucket.get(key);
    const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
    const at = from === '' ? Math.max(0, bytes.length - Number(to)) : Number(from);
    const end = from === '' ? bytes.length : Math.min(bytes.length, Number(to) + 1);
    if (at >= bytes.length) throw answer('truncated', 'InvalidRange', 416);
    response
      .writeHead(206, { 'Content-Range': `bytes ${at}-${end - 1}/${bytes.length}`, 'Content-Length': end - at })
      .end(bytes.subarray(at, end));
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const delimiter = query.get('delimiter');
    const { objects, prefixes, more } = this.#options.bucket.list({
      prefix: query.get('prefix') ?? '',
      after: query.get('start-after') ?? '',
      limit: Number(query.get('max-keys') ?? 1000),
      ...(delimiter === null ? {} : { delimiter }),
    });
    const written = (key: string): string => (query.get('encoding-type') === 'url' ? encodeKey(key) : escapeXml(key));
    const contents = objects.map(
      ({ key, bytes, putAt }) =>
        `<Contents><Key>${written(key)}</Key><LastModified>${new Date(putAt).toISOString()}</LastModified><Size>${bytes}</Size></Contents>`,
    );
    const folders = prefixes.map((prefix) => `<CommonPrefixes><Prefix>${written(prefix)}</Prefix></CommonPrefixes>`);
    const encoding = query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '';
    sendXml(
      response,
      `<ListBucketResult>${encoding}<IsTruncated>${more}</IsTruncated>${contents.join('')}${folders.join('')}</ListBucketResult>`,
    );
  }

  #delete(key: string, upload: string | null, response: ServerResponse): void {
    if (upload === null) this.#options.bucket.delete(key);
    else this.#options.bucket.abortUpload(key, upload);
    response.writeHead(204).end();
  }

  #post({ key, query, headers, body }: WireRequest, response: ServerResponse): void {
    const upload = query.get('uploadId');
    if (upload === null) this.#begin(key, headers, response);
    else this.#complete(key, upload, body.toString('utf8'), response);
  }

  #begin(key: string, headers: IncomingMessage['headers'], response: ServerResponse): void {
    const id = this.#options.bucket.beginUpload(key, uidOf(headers));
    sendXml(response, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  #complete(key: string, upload: string, xml: string, response: ServerResponse): void {
    const etags = [...xml.matchAll(/<ETag>(.*?)<\/ETag>/g)].map(([, etag = '']) => etag.replaceAll('&quot;', '"'));
    this.#options.bucket.completeUpload(key, upload, etags);
    sendXml(response, '<CompleteMultipartUploadResult><ETag>"whole-1"</ETag></CompleteMultipartUploadResult>');
  }
}

export function sendError(response: ServerResponse, status: number, code: string, method = 'GET'): void {
  const xml = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>said ${code}</Message></Error>`;
  response.writeHead(status, { 'Content-Type': 'application/xml' }).end(method === 'HEAD' ? undefined : xml);
}

function sendXml(response: ServerResponse, xml: string): void {
  response.writeHead(200, { 'Content-Type': 'application/xml' }).end(`<?xml version="1.0" encoding="UTF-8"?>${xml}`);
}

function uidOf(headers: IncomingMessage['headers']): string {
  return String(headers['x-amz-meta-uid']);
}

function encodeKey(key: string): string {
  return encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
