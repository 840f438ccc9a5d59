/**
 * One HTTP request over `node:http`. Neither `fetch` nor `undici` will do: a DataNode sends `100 Continue` without being asked, which
 * they take for a broken answer.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { SecureContext } from 'node:tls';
import { StoreError } from '@robustmq/engine-objects';

export interface ExchangeOptions extends Pick<RequestOptions, 'agent'> {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  /** Of https. */
  readonly tls: Tls;
  readonly what: string;
}

/** Made once: from some hundred certificates, with each request it would be noticed. */
export interface Tls {
  readonly secureContext?: SecureContext;
}

/** A request that has been sent as far as its head, and whose body can be written. */
export class Exchange {
  readonly #request: ClientRequest;
  readonly #answer: Promise<IncomingMessage>;
  readonly #what: string;
  #failure: StoreError | undefined;
  #early: IncomingMessage | undefined;
  #isSent = false;
  #wasAnsweredEarly = false;

  constructor(url: URL, { method, headers, agent, tls, what }: ExchangeOptions) {
    this.#what = what;
    const options = { method, headers: { ...headers }, ...(agent === undefined ? {} : { agent }) };
    this.#request = url.protocol === 'https:' ? httpsRequest(url, { ...options, ...tls }) : httpRequest(url, options);
    this.#answer = new Promise((resolve, reject) => {
      this.#request.once('response', (response) => {
        this.#early = response;
        this.#wasAnsweredEarly = !this.#isSent;
        resolve(response);
      });
      this.#request.on('error', (error: NodeJS.ErrnoException) => {
        this.#failure = connectionError(what, error);
        reject(this.#failure);
      });
    });
    this.#answer.catch(() => {}); // who asks for it hears it
  }

  /** A pooled connection that the server had closed meanwhile: nothing was done. */
  get hitClosedConnection(): boolean {
    return this.#request.reusedSocket && this.#failure !== undefined && this.#early === undefined;
  }

  /** The server did not wait for the end of the body. */
  get wasAnsweredEarly(): boolean {
    return this.#wasAnsweredEarly;
  }

  /** The chunk is the caller's again when this has resolved. @throws when the server has answered already */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#early !== undefined || chunk.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      // an answer in the middle of the body is a refusal: `end` tells it
      const stop = (): void => resolve();
      this.#request.once('response', stop);
      this.#request.write(chunk, (error) => {
        this.#request.off('response', stop);
        if (error === null || error === undefined || this.#early !== undefined) resolve();
        else reject(this.#failure ?? connectionError(this.#what, error));
      });
    });
  }

  /** The end of the body. */
  end(): Promise<IncomingMessage> {
    this.#isSent = true;
    this.#request.end();
    return this.#answer;
  }

  destroy(): void {
    this.#request.on('error', () => {}); // it is known
    this.#request.destroy();
    this.#early?.destroy();
  }
}

const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

export function connectionError(what: string, error: NodeJS.ErrnoException): StoreError {
  // several addresses were tried: the first tells enough
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException | undefined) : error;
  const code = first?.code ?? error.code;
  const isTls = code !== undefined && /^(ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_SSL)/.test(code);
  const text = first?.message !== undefined && first.message !== '' ? first.message : (code ?? 'the connection broke');
  return new StoreError(isTls ? 'credentials' : 'unreachable', `${what}: ${text}`, {
    mayBeApplied: !isTls && !NEVER_SENT.has(code ?? ''),
    code,
    cause: error,
  });
}

/** Whole, up to `limit` bytes. @throws unreachable when it is cut */
export async function bodyOf(response: IncomingMessage, limit: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > limit)
        throw new StoreError('refused', `${what}: an answer of more than ${limit} bytes`, { mayBeApplied: true });
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw connectionError(what, error as NodeJS.ErrnoException); // as streams fail
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
