import { once } from 'node:events';
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { buffer } from 'node:stream/consumers';
import { type S3Kind, type S3Request, s3Request } from './s3-request.ts';

export type S3Fault =
  /** The server has carried it out, and the reply is lost with the connection. */
  | { readonly how: 'lose-reply' }
  /** The server has carried it out; the reply waits for {@link S3Proxy.heal}. */
  | { readonly how: 'hold-reply' }
  /** The server hears nothing of it. */
  | { readonly how: 'refuse'; readonly status: 403 | 409 | 500 | 503; readonly code: string }
  /** Half of the body, then the connection ends. */
  | { readonly how: 'truncate' }
  /** Right in all but the bytes: those of a range one further on. */
  | { readonly how: 'shift-range' }
  /** 200 and an object from its first byte, where a range was asked for. Zeros stand for what the server was not asked: Range is signed, so it is forwarded. */
  | { readonly how: 'ignore-range' }
  /** What the same LIST was answered first, however long ago. */
  | { readonly how: 'stale-list' };

export interface S3Rule {
  readonly kind?: S3Kind;
  readonly key?: RegExp;
  /** The so many-th request that matches, from now; the next one by default. */
  readonly nth?: number;
  /** That one and all that match after it, until {@link S3Proxy.heal}. */
  readonly onwards?: boolean;
  readonly fault: S3Fault;
}

export interface S3Proxy {
  readonly host: string;
  readonly port: number;
  readonly endpoint: string;
  /** Every request so far, in the order of arrival, also those that it spoiled. */
  readonly requests: readonly S3Request[];
  /** How many of each kind so far. */
  count(below?: string): Readonly<Partial<Record<S3Kind, number>>>;
  /** @returns how often it has acted */
  rule(rule: S3Rule): () => number;
  /** No rule is left, and replies that are held go out. */
  heal(): void;
  close(): Promise<void>;
}

/** `asked`: the server has not heard of it. `half`: it was sent half of a PART. `done`: it has carried it out, nobody has heard of that. `answered`: the reply is out. */
export type S3Moment = 'asked' | 'half' | 'done' | 'answered';

export interface S3ProxyOptions {
  /** Called at each moment of each request, which waits for it. A client that has gone when it resolves is not asked for: the server hears nothing more of what it wanted. */
  pause?(what: S3Request, moment: S3Moment): Promise<void> | undefined;
}

/**
 * Counts the requests to an S3 server, and spoils those that a rule names. What it forwards is what came, the Host header with it: it is part of what
 * the client has signed, and neither MinIO nor versitygw asks it to be its own.
 *
 *     const proxy = await s3Proxy(server);
 *     const lost = proxy.rule({ kind: 'PUT', key: /\/wal\//, nth: 3, fault: { how: 'lose-reply' } });
 */
export async function s3Proxy(
  target: { readonly host: string; readonly port: number },
  options: S3ProxyOptions = {},
): Promise<S3Proxy> {
  const proxy = new RecordingProxy(target, options);
  await proxy.listen();
  return proxy;
}

interface Reply {
  readonly status: number;
  readonly headers: string[];
  readonly body: Buffer;
}

const HOST = '127.0.0.1';

class RecordingProxy implements S3Proxy {
  readonly host = HOST;
  readonly requests: S3Request[] = [];
  readonly #target: { readonly host: string; readonly port: number };
  readonly #options: S3ProxyOptions;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server: Server;
  readonly #firstLists = new Map<string, Reply>();
  readonly #held = new Set<() => void>();
  #rules: { readonly rule: S3Rule; seen: number; acted: number }[] = [];

  constructor(target: { readonly host: string; readonly port: number }, options: S3ProxyOptions) {
    this.#target = target;
    this.#options = options;
    this.#server = createServer((asked, answer) => {
      // a client that went away, a server that is down: the connection ends, as it would without a proxy
      this.#serve(asked, answer).catch(() => void answer.socket?.resetAndDestroy());
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  get endpoint(): string {
    return `http://${HOST}:${this.port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, HOST);
    await once(this.#server, 'listening');
  }

  count(below = ''): Partial<Record<S3Kind, number>> {
    const counts: Partial<Record<S3Kind, number>> = {};
    for (const { kind, key } of this.requests) if (key.startsWith(below)) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  rule(rule: S3Rule): () => number {
    const armed = { rule, seen: 0, acted: 0 };
    this.#rules.push(armed);
    return () => armed.acted;
  }

  heal(): void {
    this.#rules = [];
    for (const goOn of this.#held) goOn();
    this.#held.clear();
  }

  async close(): Promise<void> {
    this.heal();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await closed;
  }

  async #serve(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const what = s3Request(asked);
    this.requests.push(what);
    const fault = this.#faultOf(what);
    if (fault?.how === 'refuse') return refuse(asked, answer, fault);
    const body = await buffer(asked);
    if (fault?.how === 'stale-list') {
      const stale = this.#firstLists.get(asked.url ?? '');
      if (stale !== undefined) return send(answer, stale);
    }
    await this.#options.pause?.(what, 'asked');
    if (asked.socket.destroyed) return;
    const reply = await this.#forward(what, asked, answer, body);
    await this.#options.pause?.(what, 'done');
    if (what.kind === 'LIST' && !this.#firstLists.has(asked.url ?? '')) this.#firstLists.set(asked.url ?? '', reply);
    if (fault?.how === 'hold-reply')
      await new Promise<void>((resolve) => {
        this.#held.add(resolve);
      });
    if (fault?.how === 'lose-reply') answer.socket?.resetAndDestroy();
    else if (fault?.how === 'truncate') truncate(answer, reply);
    else if (fault?.how === 'shift-range' && reply.status === 206) send(answer, shifted(reply));
    else if (fault?.how === 'ignore-range' && reply.status === 206) send(answer, fromTheStart(reply));
    else send(answer, reply);
    await this.#options.pause?.(what, 'answered');
  }

  #faultOf({ kind, key }: S3Request): S3Fault | undefined {
    let found: S3Fault | undefined;
    for (const armed of this.#rules) {
      const { rule } = armed;
      if ((rule.kind !== undefined && rule.kind !== kind) || rule.key?.test(key) === false) continue;
      armed.seen++;
      const nth = rule.nth ?? 1;
      if (found !== undefined || (rule.onwards ? armed.seen < nth : armed.seen !== nth)) continue;
      armed.acted++;
      found = rule.fault;
    }
    return found;
  }

  async #forward(what: S3Request, asked: IncomingMessage, answer: ServerResponse, body: Buffer): Promise<Reply> {
    const headers = [...pairs(asked.rawHeaders)]
      .filter(([name]) => !/^(connection|expect|transfer-encoding|content-length)$/i.test(name))
      .concat(body.length > 0 || asked.method === 'PUT' ? [['Content-Length', String(body.length)]] : []);
    const { host, port } = this.#target;
    const out = request({ host, port, method: asked.method, path: asked.url, agent: this.#agent, setHost: false });
    for (const [name, value] of headers) out.setHeader(name, value);
    const answered = once(out, 'response') as Promise<[IncomingMessage]>;
    if (what.kind === 'PART') await this.#halfway(what, out, body, [answered, closed(answer)]);
    if (asked.socket.destroyed) out.destroy();
    else out.end(what.kind === 'PART' ? body.subarray(body.length >> 1) : body);
    const [reply] = await answered;
    return { status: reply.statusCode ?? 0, headers: reply.rawHeaders, body: await buffer(reply) };
  }

  /** @param ends what the middle of a part does not outlast: its server, its client */
  async #halfway(what: S3Request, out: ClientRequest, body: Buffer, ends: readonly Promise<unknown>[]): Promise<void> {
    out.write(body.subarray(0, body.length >> 1));
    await Promise.race([this.#options.pause?.(what, 'half'), ...ends]);
  }
}

function closed(answer: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    answer.once('close', resolve);
  });
}

function* pairs(raw: readonly string[]): Generator<[string, string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i] ?? '', raw[i + 1] ?? ''];
}

function send(answer: ServerResponse, reply: Reply): void {
  head(answer, reply);
  answer.end(reply.body);
}

function truncate(answer: ServerResponse, reply: Reply): void {
  head(answer, reply);
  answer.write(reply.body.subarray(0, reply.body.length >> 1), () => void answer.socket?.destroySoon());
}

function head(answer: ServerResponse, { status, headers }: Reply): void {
  const ofConnection = /^(connection|transfer-encoding|keep-alive)$/i;
  answer.writeHead(status, [...pairs(headers)].filter(([name]) => !ofConnection.test(name)).flat());
}

function fromTheStart(reply: Reply): Reply {
  const kept = [...pairs(reply.headers)];
  const range = kept.find(([name]) => name.toLowerCase() === 'content-range')?.[1] ?? '';
  const [, at = '0', bytes = '0'] = /^bytes (\d+)-\d+\/(\d+)$/.exec(range) ?? [];
  const body = Buffer.alloc(Number(bytes));
  reply.body.copy(body, Number(at));
  const headers = kept.filter(([name]) => !/^content-(range|length)$/i.test(name)).flat();
  return { status: 200, headers: [...headers, 'Content-Length', bytes], body };
}

function shifted(reply: Reply): Reply {
  const { body } = reply;
  return { ...reply, body: Buffer.concat([body.subarray(1), body.subarray(0, 1)]) };
}

/** The request is read to its end: a client that is cut off while it sends may never see the answer. */
async function refuse(
  asked: IncomingMessage,
  answer: ServerResponse,
  { status, code }: { readonly status: number; readonly code: string },
): Promise<void> {
  await buffer(asked);
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  answer.writeHead(status, { 'content-type': 'application/xml' });
  answer.end(body);
}
