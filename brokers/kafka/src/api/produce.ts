import { topicInTenant } from '@robustmq/broker-common';
import {
  BATCH_HEADER_BYTES,
  BATCH_LOG_OVERHEAD,
  BATCH_MAGIC,
  checkShape,
  codecOf,
  isControl,
  isStorageError,
  isTransactional,
  type Shard,
} from '@robustmq/core';
import { produceRequest, produceResponse } from '../schema/produce.ts';
import type { Decoded } from '../schema/table.ts';
import { failure, failureOf, type KafkaFailure } from '../storage-errors.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { type Answer, type Api, CLOSE_CONNECTION, defineApi, NO_RESPONSE, type RequestContext } from './api.ts';
import { isFailure, shardFor, topicFor } from './partition.ts';

type Request = Decoded<typeof produceRequest>;
type Topic = Request['topicData'][number];

/** One partition's batch: where it goes, or why it does not go. */
interface Delivery {
  readonly index: number;
  readonly batch: Buffer;
  readonly target: Shard | KafkaFailure;
}

interface Outcome {
  readonly index: number;
  readonly errorCode: number;
  readonly baseOffset: number;
  readonly errorMessage: string | null;
  readonly currentLeader?: { readonly leaderId: number; readonly leaderEpoch: number } | undefined;
}

/**
 * Batches go to their shards as views of the request, checked by header here and by CRC in core, never decoded. The answer waits
 * until all are as durable as their engines declare, for acks 1 as for acks -1: there is nothing weaker to offer.
 */
export const produce: Api = defineApi({
  key: 0,
  name: 'Produce',
  request: produceRequest,
  response: produceResponse,
  handle(request, context) {
    const deliveries = address(request, context);
    if (!mustWait(request, context, deliveries)) return deliver(request, context, deliveries);
    // nothing of this connection may overtake this request, so that appends happen in the order of requests
    const release = context.hold();
    return prepare(request, context, deliveries)
      .then(() => deliver(request, context, address(request, context)))
      .finally(release);
  },
});

function address(request: Request, context: RequestContext): readonly (readonly Delivery[])[] {
  const refused = refuse(request);
  return request.topicData.map((topic) => {
    const found = refused ?? topicFor(context, 'write', topic);
    return topic.partitionData.map(({ index, records }) => {
      const target = isFailure(found)
        ? found
        : (checkRecords(records, context.version) ?? shardFor(context, found, index));
      const internal = !isFailure(target) && target.topic.internal;
      return {
        index,
        batch: records ?? Buffer.alloc(0),
        target: internal ? failure('INVALID_TOPIC_EXCEPTION', 'internal topics take no records of clients') : target,
      };
    });
  });
}

function refuse({ acks, transactionalId }: Request): KafkaFailure | undefined {
  if (acks !== 0 && acks !== 1 && acks !== -1)
    return failure('INVALID_REQUIRED_ACKS', `acks is ${acks}, it can be 0, 1 or -1`);
  if (transactionalId !== null) return failure('INVALID_REQUEST', 'transactions are not supported yet');
  return undefined;
}

/** One whole batch in format 2, as its header says. The CRC is left to core. */
function checkRecords(records: Buffer | null, version: number): KafkaFailure | undefined {
  if (records === null || records.length === 0) return failure('INVALID_RECORD', 'no record batch');
  const magic = records[16];
  if (version < 3 || (magic !== undefined && magic < BATCH_MAGIC))
    return version < 3
      ? failure('UNSUPPORTED_FOR_MESSAGE_FORMAT', 'message formats 0 and 1 are not supported, clients since 0.11 use 2')
      : failure('INVALID_RECORD', `Produce version ${version} carries message format 2 only, this is ${magic}`);
  if (records.length < BATCH_HEADER_BYTES)
    return failure('CORRUPT_MESSAGE', `${records.length} bytes are less than a batch header`);
  const bytes = records.readInt32BE(8) + BATCH_LOG_OVERHEAD;
  if (bytes > records.length) return failure('CORRUPT_MESSAGE', `a batch of ${bytes} bytes in ${records.length}`);
  try {
    const header = checkShape(records);
    if (header.bytes < records.length) return failure('INVALID_RECORD', 'more than one record batch for a partition');
    if (isControl(header)) return failure('INVALID_RECORD', 'clients may not write control batches');
    if (isTransactional(header)) return failure('INVALID_REQUEST', 'transactions are not supported yet');
    if (version < 7 && codecOf(header) === 'zstd')
      return failure('UNSUPPORTED_COMPRESSION_TYPE', 'zstd needs Produce version 7');
    return undefined;
  } catch (error) {
    if (isStorageError(error, 'BATCH_INVALID')) return failure('INVALID_RECORD', error.message);
    throw error;
  }
}

/** True when a topic has to be created first, or a shard has no credit for its batch. */
function mustWait(request: Request, context: RequestContext, deliveries: readonly (readonly Delivery[])[]): boolean {
  return (
    request.topicData.some((topic) => isMissing(topic, context)) ||
    deliveries.some((topic) => topic.some((delivery) => credit(delivery) !== undefined))
  );
}

function credit({ target, batch }: Delivery): Promise<void> | undefined {
  return isFailure(target) ? undefined : target.ready(batch.length);
}

function isMissing(topic: Topic, context: RequestContext): boolean {
  if (topic.topicId !== ZERO_UUID) return false;
  const found = topicFor(context, 'write', topic);
  return isFailure(found) && found.error === 'UNKNOWN_TOPIC_OR_PARTITION' && mayCreate(topic, context);
}

function mayCreate({ name }: Topic, { services, principal }: RequestContext): boolean {
  return services.authorizer.authorize(principal, 'create', { type: 'topic', name });
}

/** What can't be had shows again, as an error of its partition, when the batches are delivered. */
async function prepare(
  request: Request,
  context: RequestContext,
  first: readonly (readonly Delivery[])[],
): Promise<void> {
  const { services, principal, logger } = context;
  let deliveries = first;
  for (const topic of request.topicData) {
    if (!isMissing(topic, context)) continue;
    await services.storage.ensureTopic(topicInTenant(principal, topic.name)).catch((error: unknown) => {
      logger.debug({ err: error, topic: topic.name }, 'a topic was not created on Produce');
    });
    deliveries = address(request, context);
  }
  const gone = new Promise<void>((resolve) => {
    context.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  for (const delivery of deliveries.flat())
    for (let wait = credit(delivery); wait !== undefined && !context.signal.aborted; wait = credit(delivery)) {
      const failed = await Promise.race([wait.then(() => false), gone.then(() => false)]).catch(() => true);
      if (failed) break;
    }
}

async function deliver(
  request: Request,
  context: RequestContext,
  deliveries: readonly (readonly Delivery[])[],
): Promise<Answer<typeof produceResponse>> {
  // all appends are called before anything is awaited
  const outcomes = await Promise.all(
    deliveries.map((topic) => Promise.all(topic.map((delivery) => append(delivery, context)))),
  );
  if (request.acks === 0) {
    const failed = outcomes.flat().find((outcome) => outcome.errorCode !== 0);
    if (failed === undefined) return NO_RESPONSE;
    context.logger.info({ errorCode: failed.errorCode }, `a Produce without acks failed: ${failed.errorMessage}`);
    return CLOSE_CONNECTION;
  }
  return {
    responses: request.topicData.map(({ name, topicId }, i) => ({
      name,
      topicId,
      partitionResponses: (outcomes[i] ?? []).map((outcome) => ({ ...outcome, recordErrors: [] })),
    })),
  };
}

function append({ index, batch, target }: Delivery, context: RequestContext): Promise<Outcome> | Outcome {
  if (isFailure(target)) return refusal(index, target, context);
  return target.append([batch]).then(
    ({ base }) => ({ index, errorCode: 0, baseOffset: base, errorMessage: null }),
    (error: unknown) => {
      const told = failureOf(error, context.logger);
      const moved = told.error === 'NOT_LEADER_OR_FOLLOWER' && target.owner !== context.services.node.id;
      const currentLeader = moved ? { leaderId: target.owner, leaderEpoch: -1 } : undefined;
      return { ...refusal(index, told, context), currentLeader };
    },
  );
}

function refusal(index: number, told: KafkaFailure, context: RequestContext): Outcome {
  context.services.metrics.error(told.code);
  return { index, errorCode: told.code, baseOffset: -1, errorMessage: told.message };
}
