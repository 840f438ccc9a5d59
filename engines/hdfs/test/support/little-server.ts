import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';

const HOST = '127.0.0.1';
export const CERT_FILE: string = join(import.meta.dirname, 'localhost-cert.pem');
export const KEY_FILE: string = join(import.meta.dirname, 'localhost-key.pem');

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server of a test's own that answers as it is told. */
export interface LittleServer {
  readonly address: string;
  /** `GET GETFILESTATUS /path`, in the order in which they came. */
  readonly asked: readonly string[];
  readonly requests: readonly IncomingMessage[];
  readonly connections: number;
  answer: Answer;
  close(): Promise<void>;
}

/** @param tls `mutual` asks clients for a certificate, too */
export async function littleServer(answer: Answer, tls?: 'server' | 'mutual'): Promise<LittleServer> {
  const little = new Little(answer, tls);
  await little.listen();
  return little;
}

/** The address of one that is gone. */
export async function nowhere(): Promise<string> {
  const little = await littleServer(() => {});
  await little.close();
  return little.address;
}

class Little implements LittleServer {
  answer: Answer;
  readonly asked: string[] = [];
  readonly requests: IncomingMessage[] = [];
  connections = 0;
  address = '';
  readonly #server: Server;
  readonly #scheme: string;

  constructor(answer: Answer, tls: 'server' | 'mutual' | undefined) {
    this.answer = answer;
    this.#scheme = tls === undefined ? 'http' : 'https';
    const listener: RequestListener = (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', this.address);
      this.asked.push(`${request.method} ${searchParams.get('op')} ${pathname.replace('/webhdfs/v1', '')}`);
      this.requests.push(request);
      this.answer(request, response);
    };
    this.#server =
      tls === undefined
        ? createServer(listener)
        : createTlsServer(
            {
              cert: readFileSync(CERT_FILE),
              key: readFileSync(KEY_FILE),
              ...(tls === 'mutual' ? { requestCert: true, ca: readFileSync(CERT_FILE) } : {}),
            },
            listener,
          );
    this.#server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.connections++;
      socket.on('error', () => {}); // a client that goes away
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, HOST);
    await once(this.#server, 'listening');
    const found = this.#server.address();
    if (found === null || typeof found === 'string') throw new Error('the server has no port');
    this.address = `${this.#scheme}://${HOST}:${found.port}`;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

export function json(status: number, body: unknown): Answer {
  return (request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
}

export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
  };
}

export function refusal(status: number, exception: string, message: string): Answer {
  return json(status, { RemoteException: { exception, javaClassName: exception, message } });
}

/** Another answer to each of these operations of WebHDFS. */
export function byOp(answers: Readonly<Record<string, Answer>>, others: Answer): Answer {
  return (request, response) => {
    const op = new URL(request.url ?? '/', `http://${HOST}`).searchParams.get('op') ?? '';
    (answers[op] ?? others)(request, response);
  };
}

export const STANDBY: Answer = refusal(
  403,
  'StandbyException',
  'Operation category READ is not supported in state standby',
);
export const STARTING: Answer = refusal(403, 'RetriableException', 'Namenode is in startup mode');

/** As NameNodes send who has data to the DataNode. */
export function redirectTo(address: () => string): Answer {
  return (request, response) => {
    request.resume();
    response.writeHead(307, { location: `${address()}${request.url}` }).end();
  };
}

/** Another server's answers, with redirects changed on their way. What breaks there breaks here. */
export function passOnTo(address: string, redirect: (location: URL) => string = ({ href }) => href): Answer {
  return (asked, response) => {
    const { host: _host, ...headers } = asked.headers;
    const passed = httpRequest(`${address}${asked.url}`, { method: asked.method, headers, agent: false });
    passed.on('error', () => asked.socket.destroy());
    passed.on('response', (answer) => {
      const { location, ...rest } = answer.headers;
      const changed = location === undefined ? {} : { location: redirect(new URL(location)) };
      response.writeHead(answer.statusCode ?? 0, { ...rest, ...changed });
      answer.pipe(response);
    });
    asked.pipe(passed);
  };
}
