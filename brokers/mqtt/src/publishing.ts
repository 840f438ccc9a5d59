import {
  type Message,
  type Publisher,
  type PublishSink,
  type Route,
  type TopicRouter,
  toRecord,
} from '@robustmq/broker-common';
import type { Counter, Logger, RecordToWrite, Shard } from '@robustmq/core';
import { isStorageError, StorageError } from '@robustmq/core';

/** A message's way from a session into a shard. */
export class Publishing {
  readonly #router: TopicRouter;
  readonly #publisher: Publisher;
  readonly #logger: Logger;
  readonly #unroutable: Counter;

  constructor(router: TopicRouter, publisher: Publisher, logger: Logger, unroutable: Counter) {
    this.#router = router;
    this.#publisher = publisher;
    this.#logger = logger;
    this.#unroutable = unroutable;
  }

  /** `undefined` when the message is on its way; else a promise: until it has resolved, nothing that came behind it may be published. Never rejects. */
  publish(message: Message, note: string | undefined, from: PublishSink, token: number): Promise<void> | undefined {
    const route = this.#router.route(message.topic);
    if (route instanceof Promise) return this.#later(route, message, note, from, token);
    return this.#send(route, message, note, from, token);
  }

  publishWill(will: Message): void {
    void this.publish(will, undefined, NOBODY, will.qos);
  }

  async #later(
    routing: Promise<Route>,
    message: Message,
    note: string | undefined,
    from: PublishSink,
    token: number,
  ): Promise<void> {
    let route: Route;
    try {
      route = await routing;
    } catch (error) {
      this.#unroutable.value++;
      this.#logger.warn({ err: error, name: message.topic }, 'no topic takes messages of this name');
      if (token !== 0) from.published(token, asStorageError(error, message.topic), message.topic);
      return;
    }
    await this.#send(route, message, note, from, token);
  }

  #send(
    route: Route,
    message: Message,
    note: string | undefined,
    from: PublishSink,
    token: number,
  ): Promise<void> | undefined {
    const record = toRecord(message, route.destination, note);
    let shard: Shard;
    try {
      shard = this.#router.shard(route, record);
    } catch (error) {
      // deleted since it was looked up
      if (token !== 0) from.published(token, asStorageError(error, message.topic), message.topic);
      return undefined;
    }
    const bytes = sizeBound(record);
    if (bytes > route.topic.settings.maxMessageBytes) {
      const error = new StorageError('BATCH_TOO_LARGE', `a message of ${bytes} bytes for topic ${route.topic.name}`);
      if (token !== 0) from.published(token, error, message.topic);
      return undefined;
    }
    if (token === 0) {
      this.#publisher.publishAtMostOnce(shard, record, bytes);
      return undefined;
    }
    const waiting = this.#publisher.reserve(shard, bytes);
    if (waiting !== undefined) return this.#whenReserved(waiting, shard, record, bytes, from, token, message.topic);
    this.#publisher.publish(shard, record, bytes, from, token, message.topic);
    return undefined;
  }

  async #whenReserved(
    waiting: Promise<void>,
    shard: Shard,
    record: RecordToWrite,
    bytes: number,
    from: PublishSink,
    token: number,
    name: string,
  ): Promise<void> {
    for (
      let more: Promise<void> | undefined = waiting;
      more !== undefined;
      more = this.#publisher.reserve(shard, bytes)
    )
      await more;
    this.#publisher.publish(shard, record, bytes, from, token, name);
  }
}

function asStorageError(error: unknown, name: string): StorageError {
  if (isStorageError(error)) return error;
  return new StorageError('IO_ERROR', 'the topic could not be created', { cause: error, where: name, outcome: 'none' });
}

const NOBODY: PublishSink = { published: () => {} };

/** At least what the record takes in a batch with its headers; the batch header is counted too, so that one record always fits alone. */
function sizeBound({ key, value, headers }: RecordToWrite): number {
  let bytes = 61 + 40 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers ?? []) bytes += 10 + header.key.length * 3 + (header.value?.length ?? 0);
  return bytes;
}
