import { type Meta, StorageError } from '@robustmq/core';

/** What a child asks its parent for, and what it is answered: plain data, so that it crosses between processes. */
export interface MetaRequest {
  readonly request: number;
  readonly call: 'get' | 'list' | 'commit' | 'commitEach';
  readonly argument: unknown;
}

export type MetaReply = { readonly request: number } & ({ readonly value: unknown } | { readonly error: string });

type Send = (message: MetaRequest) => void;

/** Meta as a process reaches it that may be killed at any moment: it lives with the parent. */
export class RemoteMeta implements Meta {
  readonly #send: Send;
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  #requests = 0;

  constructor(send: Send) {
    this.#send = send;
  }

  get: Meta['get'] = (key) => this.#ask('get', key);
  list: Meta['list'] = (options) => this.#ask('list', options);
  commit: Meta['commit'] = (mutation) => this.#ask('commit', mutation);
  commitEach: Meta['commitEach'] = (mutations) => this.#ask('commitEach', mutations);

  async *watch(options: Parameters<Meta['watch']>[0]): ReturnType<Meta['watch']> {
    // the only one who writes under this prefix is this process itself
    await new Promise<void>((resolve) => {
      if (options.signal.aborted) resolve();
      else options.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    yield* [];
  }

  heard(reply: MetaReply): void {
    const waiting = this.#waiting.get(reply.request);
    this.#waiting.delete(reply.request);
    if ('error' in reply) waiting?.reject(new StorageError('META_UNAVAILABLE', reply.error));
    else waiting?.resolve(reply.value as never); // what the same call of the parent's Meta gave
  }

  #ask<T>(call: MetaRequest['call'], argument: unknown): Promise<T> {
    const request = this.#requests++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject });
      this.#send({ request, call, argument });
    });
  }
}

/** The parent's side. */
export async function serveMeta(meta: Meta, { request, call, argument }: MetaRequest): Promise<MetaReply> {
  try {
    // the child's `RemoteMeta` gave each call its own argument
    const ask = meta[call].bind(meta) as (argument: unknown) => Promise<unknown>;
    return { request, value: await ask(argument) };
  } catch (error) {
    return { request, error: error instanceof Error ? error.message : String(error) };
  }
}
