/**
 * WebHDFS as this engine needs it. One attempt a call, but that every NameNode is asked: whoever is standby, or gone, passes the question on. That something is not there
 * is believed when each NameNode has answered and none has it: one that woke up after a failover takes itself for active until its next write, and knows nothing of what was made since. Where
 * another one does not answer, who says so has to write first. Throws nothing but StoreError.
 */
import { Agent as HttpAgent, type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Clock } from '@robustmq/core';
import { type CallOptions, StoreError, withDeadline } from '@robustmq/engine-objects';
import { bodyOf, Exchange, type Tls } from './exchange.ts';
import { type RemoteException, remoteError } from './remote-error.ts';
import type { DelegationToken } from './token.ts';

/** Headers of a request, such as `Authorization` for SPNEGO. */
export type Authorize = (request: {
  readonly method: string;
  readonly url: string;
}) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;

export interface WebHdfsOptions {
  /** Each with the path of the API. */
  readonly nameNodes: readonly URL[];
  /** Where all lies: a directory that we may change. */
  readonly path: string;
  readonly user: string | undefined;
  readonly token: DelegationToken | undefined;
  readonly authorize: Authorize | undefined;
  readonly tls: Tls;
  readonly nameNodeTimeoutMs: number;
  /** Of a DataNode: for one answer, or to take one piece of a body. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
}

export interface FileStatus {
  readonly pathSuffix: string;
  readonly type: 'FILE' | 'DIRECTORY';
  readonly length: number;
  readonly modificationTime: number;
}

/** Any JSON object: what is in it has to be looked at. */
interface Answer {
  readonly isEmpty?: true;
  readonly FileStatus?: unknown;
  readonly FileStatuses?: { readonly FileStatus?: unknown };
  readonly boolean?: unknown;
  readonly XAttrs?: unknown;
}

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';
type Parameters = Readonly<Record<string, string | number | boolean | undefined>>;

/** Of a NameNode: a directory of some ten thousand files; more takes seconds to be parsed. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;
const MAX_ANSWER_BYTES = 256 * 1024;
const WRITE_BYTES = 4 * 1024 * 1024;

export class WebHdfs {
  readonly #options: WebHdfsOptions;
  /** NameNodes keep connections; a DataNode closes each after its answer. */
  readonly #agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };
  /** The one that served last. */
  #preferred = 0;

  constructor(options: WebHdfsOptions) {
    this.#options = options;
  }

  get where(): string {
    return this.#options.nameNodes.map(({ origin }) => origin).join(', ');
  }

  async status(path: string, options: CallOptions): Promise<FileStatus | undefined> {
    try {
      return await this.#json('GET', 'GETFILESTATUS', path, {}, options, ({ FileStatus: found }) =>
        isStatus(found) ? found : undefined,
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Of a directory, in the order of their names; none when there is no such directory. */
  async list(path: string, options: CallOptions): Promise<readonly FileStatus[]> {
    try {
      return await this.#json('GET', 'LISTSTATUS', path, {}, options, ({ FileStatuses }) => {
        const found = FileStatuses?.FileStatus;
        return Array.isArray(found) && found.every(isStatus) ? found : undefined;
      });
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }

  async makeDirectory(path: string, options: CallOptions): Promise<void> {
    await this.#json('PUT', 'MKDIRS', path, {}, options, isDone);
  }

  /** @returns false when the source is missing, the destination there, or its directory missing */
  async rename(from: string, to: string, options: CallOptions): Promise<boolean> {
    return await this.#json('PUT', 'RENAME', from, { destination: to }, options, isDone);
  }

  /** In place of whatever is there. @throws not-found */
  async replace(from: string, to: string, options: CallOptions): Promise<void> {
    const parameters = { destination: to, renameoptions: 'OVERWRITE' };
    await this.#json('PUT', 'RENAME', from, parameters, options, isEmpty);
  }

  /** @returns false when there was none */
  async delete(
    path: string,
    { recursive, ...options }: CallOptions & { readonly recursive: boolean },
  ): Promise<boolean> {
    return await this.#json('DELETE', 'DELETE', path, { recursive }, options, isDone);
  }

  async setAttribute(path: string, name: string, value: string, options: CallOptions): Promise<void> {
    // a try whose answer was lost may have set it
    const attribute = { 'xattr.name': name, 'xattr.value': `"${value}"`, flag: 'CREATE,REPLACE' };
    await this.#json('PUT', 'SETXATTR', path, attribute, options, isEmpty);
  }

  /** @throws not-found when there is no such file */
  async attribute(path: string, name: string, options: CallOptions): Promise<string | undefined> {
    const attributes = await this.#json('GET', 'GETXATTRS', path, { encoding: 'text' }, options, ({ XAttrs }) =>
      Array.isArray(XAttrs) && XAttrs.every(isAttribute) ? XAttrs : undefined,
    );
    return attributes.find((one) => one.name === name)?.value?.replaceAll('"', '');
  }

  /** Exactly `bytes` bytes from `at`. @throws truncated when there are fewer */
  async read(path: string, at: number, bytes: number, { signal }: CallOptions): Promise<Uint8Array> {
    const what = `OPEN ${path}`;
    return await withDeadline(this.#options.clock, this.#options.requestTimeoutMs, { what, signal }, async (abort) => {
      const found = await this.#location('GET', 'OPEN', path, { offset: at, length: bytes }, { signal: abort });
      const response = found instanceof URL ? await this.#ask('GET', found, what, abort) : found;
      if (response.statusCode !== 200) throw await errorOf(response, what);
      const giveUp = (): void => void response.destroy();
      abort.addEventListener('abort', giveUp, { once: true });
      const body = await bodyOf(response, bytes, what);
      if (body.length === bytes) return body;
      throw new StoreError('truncated', `${what}: ${body.length} bytes from ${at}, not ${bytes}`, {
        mayBeApplied: false,
      });
    });
  }

  /** A file that is written piece by piece; there must be none, but its directory. @throws not-found when the writing ends, without a directory */
  async create(path: string, replication: number | undefined, options: CallOptions): Promise<FileWrite> {
    return await this.#write('PUT', 'CREATE', path, { overwrite: false, createparent: false, replication }, options);
  }

  /** What is written goes behind what is there. */
  async append(path: string, options: CallOptions): Promise<FileWrite> {
    return await this.#write('POST', 'APPEND', path, {}, options);
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  async #write(
    method: 'PUT' | 'POST',
    op: string,
    path: string,
    parameters: Parameters,
    options: CallOptions,
  ): Promise<FileWrite> {
    const what = `${op} ${path}`;
    const found = await this.#location(method, op, path, parameters, options);
    if (!(found instanceof URL)) {
      found.destroy();
      throw new StoreError('refused', `${what}: status ${found.statusCode} where a DataNode should be named`, {
        mayBeApplied: true,
      });
    }
    const { clock, nameNodeTimeoutMs, tls } = this.#options;
    const headers = await withDeadline(clock, nameNodeTimeoutMs, { what: `${what}: authorize`, ...options }, () =>
      this.#headers(method, found),
    );
    const exchange = new Exchange(found, {
      method,
      headers: { ...headers, 'content-type': 'application/octet-stream' },
      tls,
      agent: false,
      what: `${what} at ${found.host}`,
    });
    return new FileWrite(exchange, what, this.#options);
  }

  /** Where the NameNode sends a request for data; or the data, from a gateway that sends nobody anywhere. */
  #location(
    method: Method,
    op: string,
    path: string,
    parameters: Parameters,
    options: CallOptions,
  ): Promise<URL | IncomingMessage> {
    return this.#eachNameNode(`${op} ${path}`, options, async (base, signal) => {
      const response = await this.#ask(method, this.#url(base, op, path, parameters), `${op} ${path}`, signal);
      const { statusCode = 0, headers } = response;
      if (statusCode === 307 && headers.location !== undefined) {
        // to its end, so that the connection is free again
        await bodyOf(response, MAX_ANSWER_BYTES, op);
        const location = URL.parse(headers.location, base.href);
        if (location !== null && /^https?:$/.test(location.protocol)) return location;
        // its query may hold a token
        const [to = ''] = headers.location.split(/[?#]/, 1);
        throw new StoreError('refused', `${op} ${path}: a redirect to ${to.slice(0, 200)}`, { mayBeApplied: false });
      }
      if (statusCode >= 300) throw await errorOf(response, `${op} ${path}`);
      return response;
    });
  }

  /** @param pick what is looked for in the answer; `undefined`: it is none of WebHDFS */
  #json<T>(
    method: Method,
    op: string,
    path: string,
    parameters: Parameters,
    options: CallOptions,
    pick: (answer: Answer) => T | undefined,
  ): Promise<T> {
    const what = `${op} ${path}`;
    return this.#eachNameNode(what, options, async (base, signal) => {
      const response = await this.#ask(method, this.#url(base, op, path, parameters), what, signal);
      if (response.statusCode !== 200) throw await errorOf(response, what);
      const body = await bodyOf(response, op === 'LISTSTATUS' ? MAX_LIST_BYTES : MAX_ANSWER_BYTES, what);
      const picked = pick(answerOf(body));
      if (picked !== undefined) return picked;
      throw new StoreError('refused', `${what} at ${base.host}: the answer is none of WebHDFS`, { mayBeApplied: true });
    });
  }

  async #eachNameNode<T>(
    what: string,
    options: CallOptions,
    run: (base: URL, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { token } = this.#options;
    await token?.look();
    const { current = '' } = token ?? {};
    try {
      return await this.#askEach(what, options, run);
    } catch (error) {
      const isRefused = error instanceof StoreError && REFUSALS.has(error.trouble) && !error.mayBeApplied;
      if (token === undefined || !isRefused || !(await token.isRenewed(current))) throw error;
      return await this.#askEach(what, options, run);
    }
  }

  async #askEach<T>(
    what: string,
    options: CallOptions,
    run: (base: URL, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { signal } = options;
    const { nameNodes, nameNodeTimeoutMs, clock } = this.#options;
    let failure: StoreError | undefined;
    let mayBeApplied = false;
    let absence: { readonly index: number; readonly said: T | StoreError } | undefined;
    const first = this.#preferred;
    for (let turn = 0; turn < nameNodes.length; turn++) {
      const index = (first + turn) % nameNodes.length;
      const base = nameNodes[index];
      if (base === undefined) break;
      try {
        const value = await withDeadline(
          clock,
          nameNodeTimeoutMs,
          { what: `${what} at ${base.host}`, signal },
          async (abort) => await run(base, abort),
        );
        if (value === false) {
          absence ??= { index, said: value };
          continue;
        }
        this.#preferred = index;
        return value;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.trouble === 'not-found') {
          absence ??= { index, said: error };
          if (signal?.aborted === true) break;
          continue;
        }
        mayBeApplied ||= error.mayBeApplied;
        const isPassedOn = PASSED_ON.has(error.trouble);
        if (failure === undefined || !isPassedOn || tells(error) > tells(failure)) failure = error;
        if (signal?.aborted === true) break;
        if (isPassedOn) continue;
        this.#preferred = index;
        absence = undefined;
        break;
      }
    }
    const isHeard = failure === undefined || failure.trouble === 'not-active';
    if (absence !== undefined && (isHeard || (await this.#writes(nameNodes[absence.index], options)))) {
      this.#preferred = absence.index;
      if (!(absence.said instanceof StoreError)) return absence.said;
      failure = absence.said;
    }
    if (failure === undefined)
      throw new StoreError('refused', `${what}: no NameNode is named`, { mayBeApplied: false });
    if (failure.mayBeApplied === mayBeApplied) throw failure;
    const { trouble, message, code, status } = failure;
    throw new StoreError(trouble, message, { mayBeApplied, code, status, cause: failure });
  }

  /** Whether the NameNode is active, and not only takes itself for that: then the journal shuts it out when it writes, be it the time of a directory. */
  async #writes(base: URL | undefined, options: CallOptions): Promise<boolean> {
    const { clock, nameNodeTimeoutMs, path } = this.#options;
    if (base === undefined) return false;
    const what = `SETTIMES ${path} at ${base.host}`;
    try {
      return await withDeadline(clock, nameNodeTimeoutMs, { what, ...options }, async (abort) => {
        // the first that is there
        for (let directory = path; ; directory = parentOf(directory)) {
          const time = { modificationtime: Math.floor(clock.wall()) };
          const response = await this.#ask('PUT', this.#url(base, 'SETTIMES', directory, time), what, abort);
          if (response.statusCode === 200) {
            response.destroy();
            return true;
          }
          if (directory === '/' || !isNotFound(await errorOf(response, what))) return false;
        }
      });
    } catch (error) {
      if (error instanceof StoreError) return false;
      throw error;
    }
  }

  #url(base: URL, op: string, path: string, parameters: Parameters): URL {
    const url = new URL(base);
    url.pathname += path.split('/').map(encodeURIComponent).join('/');
    url.searchParams.set('op', op);
    const { user, token } = this.#options;
    if (user !== undefined) url.searchParams.set('user.name', user);
    if (token !== undefined) url.searchParams.set('delegation', token.current);
    for (const [name, value] of Object.entries(parameters))
      if (value !== undefined) url.searchParams.set(name, String(value));
    return url;
  }

  /** A request without a body, to whomever. */
  async #ask(method: Method, url: URL, what: string, signal: AbortSignal): Promise<IncomingMessage> {
    const headers = await this.#headers(method, url);
    // one that was idle for long may be closed by the other side just now: nothing that changes something goes over such
    const isKept = method === 'GET' && this.#options.nameNodes.some(({ host }) => host === url.host);
    const agent = isKept ? (url.protocol === 'https:' ? this.#agents.https : this.#agents.http) : false;
    for (;;) {
      const exchange = new Exchange(url, {
        method,
        headers,
        agent,
        tls: this.#options.tls,
        what: `${what} at ${url.host}`,
      });
      const giveUp = (): void => exchange.destroy();
      signal.addEventListener('abort', giveUp, { once: true });
      if (signal.aborted) giveUp();
      try {
        const response = await exchange.end();
        response.once('close', () => signal.removeEventListener('abort', giveUp));
        return response;
      } catch (error) {
        signal.removeEventListener('abort', giveUp);
        // it drops those that were idle for long
        if (!exchange.hitClosedConnection || signal.aborted) throw error;
      }
    }
  }

  async #headers(method: string, { href }: URL): Promise<Readonly<Record<string, string>>> {
    const { authorize } = this.#options;
    if (authorize === undefined) return {};
    try {
      const headers = await authorize({ method, url: href });
      for (const [name, value] of Object.entries(headers)) {
        validateHeaderName(name);
        validateHeaderValue(name, value);
      }
      return headers;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StoreError('credentials', `authorize failed: ${why}`, { mayBeApplied: false, cause });
    }
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** Another token may do. */
const REFUSALS: ReadonlySet<string> = new Set(['expired', 'credentials']);

/** What the next NameNode is asked after: this one is standby, gone, asleep, or starting, when it knows no DataNode either. */
const PASSED_ON: ReadonlySet<string> = new Set(['not-active', 'unreachable', 'timeout', 'server']);

/** A standby says less than one that is gone, and that less than one that knows what is wrong. */
function tells({ trouble }: StoreError): number {
  if (trouble === 'not-active') return 0;
  return trouble === 'server' ? 2 : 1;
}

/** A body on its way to a DataNode. */
export class FileWrite {
  readonly #exchange: Exchange;
  readonly #what: string;
  readonly #options: Pick<WebHdfsOptions, 'clock' | 'requestTimeoutMs'>;

  constructor(exchange: Exchange, what: string, options: Pick<WebHdfsOptions, 'clock' | 'requestTimeoutMs'>) {
    this.#exchange = exchange;
    this.#what = what;
    this.#options = options;
  }

  /** The chunk is the caller's again when this has resolved. */
  async write(chunk: Uint8Array, options: CallOptions): Promise<void> {
    for (let at = 0; at < chunk.length; at += WRITE_BYTES)
      await this.#limited(options, () => this.#exchange.write(chunk.subarray(at, at + WRITE_BYTES)));
  }

  /** The file is closed, and all that was written is in it. */
  async end(options: CallOptions): Promise<void> {
    await this.#limited(options, async () => {
      const response = await this.#exchange.end();
      if (response.statusCode !== 200 && response.statusCode !== 201) throw await errorOf(response, this.#what);
      if (this.#exchange.wasAnsweredEarly)
        throw new StoreError('server', `${this.#what}: it was answered before all had been sent`, {
          mayBeApplied: true,
        });
      // what may follow is of no use, and nobody waits for its end
      this.destroy();
    });
  }

  destroy(): void {
    this.#exchange.destroy();
  }

  async #limited(options: CallOptions, run: () => Promise<void>): Promise<void> {
    const { clock, requestTimeoutMs } = this.#options;
    try {
      await withDeadline(clock, requestTimeoutMs, { what: this.#what, signal: options.signal }, run);
    } catch (error) {
      this.destroy();
      throw error;
    }
  }
}

/** What is no JSON has none of the fields. */
function answerOf(body: Buffer): Answer {
  if (body.length === 0) return { isEmpty: true };
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'));
    return typeof answer === 'object' && answer !== null ? answer : {};
  } catch {
    return {};
  }
}

function isDone({ boolean }: Answer): boolean | undefined {
  return typeof boolean === 'boolean' ? boolean : undefined;
}

function isEmpty(answer: Answer): true | undefined {
  return answer.isEmpty;
}

function isStatus(value: unknown): value is FileStatus {
  const { pathSuffix, type, length, modificationTime } = (value ?? {}) as Partial<Record<keyof FileStatus, unknown>>;
  return (
    typeof pathSuffix === 'string' &&
    typeof type === 'string' &&
    Number.isSafeInteger(length) &&
    (length as number) >= 0 &&
    Number.isSafeInteger(modificationTime)
  );
}

interface Attribute {
  readonly name: string;
  readonly value?: string | null;
}

function isAttribute(entry: unknown): entry is Attribute {
  const { name, value } = (entry ?? {}) as Partial<Record<keyof Attribute, unknown>>;
  return typeof name === 'string' && (typeof value === 'string' || value === null || value === undefined);
}

async function errorOf(response: IncomingMessage, what: string): Promise<StoreError> {
  const { statusCode = 0 } = response;
  const body = await bodyOf(response, MAX_ANSWER_BYTES, what).catch(() => Buffer.alloc(0));
  return remoteError(what, statusCode, remoteOf(body));
}

function remoteOf(body: Buffer): RemoteException | undefined {
  try {
    const { RemoteException: found } = JSON.parse(body.toString('utf8')) as {
      RemoteException?: Partial<RemoteException>;
    };
    if (typeof found?.exception !== 'string') return undefined;
    return { exception: found.exception, message: String(found.message ?? '') };
  } catch {
    return undefined;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof StoreError && error.trouble === 'not-found';
}
