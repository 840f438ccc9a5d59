import { type IncomingMessage, request } from 'node:http';
import { RobustError } from '@robustmq/core';
import type { Call } from './verb.ts';

const DEFAULT_URL = 'http://127.0.0.1:9644';

/** Speaks to the Admin HTTP of a running node. */
export class AdminClient {
  readonly #base: string;
  readonly #signal: AbortSignal;

  constructor({ flags, io }: Pick<Call, 'flags' | 'io'>) {
    this.#base = (flags.get('admin') ?? io.env.ROBUST_ADMIN_URL ?? DEFAULT_URL).replace(/\/+$/, '');
    this.#signal = io.signal;
  }

  /** @throws what the node says; ADMIN_UNREACHABLE */
  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#send(method, path, body);
    const text = await readAll(response);
    if ((response.statusCode ?? 500) >= 400) throw toError(text, response.statusCode ?? 500);
    // the node is of our own make
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Each line of an answer as it comes. */
  async *lines(path: string): AsyncIterable<string> {
    const response = await this.#send('GET', path);
    if ((response.statusCode ?? 500) >= 400) throw toError(await readAll(response), response.statusCode ?? 500);
    let rest = '';
    response.setEncoding('utf8');
    for await (const chunk of response) {
      const parts = (rest + String(chunk)).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
  }

  /** Status and text, also of answers that are errors. */
  async text(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await this.#send('GET', path);
    return { status: response.statusCode ?? 500, text: await readAll(response) };
  }

  #send(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      let url: URL;
      try {
        url = new URL(this.#base + path);
        if (url.protocol !== 'http:') throw new Error('not http');
      } catch {
        reject(
          new RobustError('USAGE', `${this.#base} is no http:// address`, {
            hint: `For example: --admin ${DEFAULT_URL}`,
          }),
        );
        return;
      }
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
      const sent = request(url, { method, headers, signal: this.#signal }, resolve);
      sent.on('error', (error) => reject(this.#signal.aborted ? error : this.#unreachable(error)));
      sent.end(payload);
    });
  }

  #unreachable(cause: Error): RobustError {
    const reason = (cause as NodeJS.ErrnoException).code ?? cause.message;
    return new RobustError('ADMIN_UNREACHABLE', `no node answers at ${this.#base} (${reason})`, {
      hint: 'Start one with: robust-server start, or name its address with --admin URL',
      cause,
    });
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) text += String(chunk);
  return text;
}

function toError(text: string, status: number): RobustError {
  try {
    // the node's error body
    const { code, message, hint } = JSON.parse(text) as { code: string; message: string; hint?: string };
    if (typeof code === 'string') return new RobustError(code, message, hint === undefined ? {} : { hint });
  } catch {
    // not ours: said below
  }
  return new RobustError('ADMIN_UNREACHABLE', `the answer (${status}) is not one of a RobustMQ node`, {
    hint: 'Does --admin URL name its admin port?',
  });
}
