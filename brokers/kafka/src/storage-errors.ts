import { isStorageError, type Logger, type StorageCode } from '@robustmq/core';
import { ERRORS, type ErrorName } from './error-codes.ts';

/**
 * What a client is told for each error of the storage layer. Errors that may heal go to codes that every client retries
 * (kafkajs, librdkafka and the Java client agree on the ones used here); those with outcome unknown go to codes after which an idempotent
 * producer sends the same sequence again, and is deduplicated.
 */
export const STORAGE_TO_KAFKA: { readonly [C in StorageCode]: ErrorName } = {
  INVALID_ARGUMENT: 'INVALID_REQUEST',
  NOT_SUPPORTED: 'INVALID_REQUEST',
  // the shape was checked before: what is left is the CRC
  BATCH_INVALID: 'CORRUPT_MESSAGE',
  BATCH_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  OFFSET_MISMATCH: 'UNKNOWN_SERVER_ERROR',
  OFFSET_TRIMMED: 'OFFSET_OUT_OF_RANGE',
  OFFSET_BEYOND_END: 'OFFSET_OUT_OF_RANGE',
  SEGMENT_EXISTS: 'UNKNOWN_SERVER_ERROR',
  SEGMENT_SEALED: 'UNKNOWN_SERVER_ERROR',
  SEGMENT_NOT_SEALED: 'UNKNOWN_SERVER_ERROR',
  SEGMENT_UNKNOWN: 'KAFKA_STORAGE_ERROR',
  SEGMENT_LOST: 'KAFKA_STORAGE_ERROR',
  SEGMENT_MUST_ROLL: 'NOT_ENOUGH_REPLICAS',
  CORRUPT: 'KAFKA_STORAGE_ERROR',
  DISK_FULL: 'KAFKA_STORAGE_ERROR',
  BACKPRESSURE: 'NOT_ENOUGH_REPLICAS',
  FENCED: 'NOT_LEADER_OR_FOLLOWER',
  WRITER_FAILED: 'REQUEST_TIMED_OUT',
  IO_ERROR: 'KAFKA_STORAGE_ERROR',
  TIMEOUT: 'REQUEST_TIMED_OUT',
  ABORTED: 'REQUEST_TIMED_OUT',
  CLOSED: 'NOT_LEADER_OR_FOLLOWER',
  DIRECTORY_LOCKED: 'KAFKA_STORAGE_ERROR',
  FORMAT_TOO_NEW: 'KAFKA_STORAGE_ERROR',
  INSTANCE_CHANGED: 'KAFKA_STORAGE_ERROR',
  NOT_OWNER: 'NOT_LEADER_OR_FOLLOWER',
  NODE_DOWN: 'LEADER_NOT_AVAILABLE',
  TOPIC_UNKNOWN: 'UNKNOWN_TOPIC_OR_PARTITION',
  TOPIC_EXISTS: 'TOPIC_ALREADY_EXISTS',
  TOPIC_INVALID: 'INVALID_TOPIC_EXCEPTION',
  SHARD_UNKNOWN: 'UNKNOWN_TOPIC_OR_PARTITION',
  ENGINE_UNKNOWN: 'INVALID_CONFIG',
  WEAKER_DURABILITY: 'INVALID_CONFIG',
  SEQUENCE_GAP: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  PRODUCER_FENCED: 'INVALID_PRODUCER_EPOCH',
  META_GUARD_FAILED: 'REQUEST_TIMED_OUT',
  META_LIMIT: 'INVALID_REQUEST',
  META_COMPACTED: 'REQUEST_TIMED_OUT',
  META_UNAVAILABLE: 'REQUEST_TIMED_OUT',
  STORE_UNAVAILABLE: 'REQUEST_TIMED_OUT',
  STORE_DENIED: 'KAFKA_STORAGE_ERROR',
  STORE_MISCONFIGURED: 'KAFKA_STORAGE_ERROR',
};

export interface KafkaFailure {
  readonly error: ErrorName;
  readonly code: number;
  readonly message: string;
}

/** Messages quote what a client sent, and a string of the protocol holds 32,767 bytes. */
const MAX_MESSAGE = 1000;

export function failure(error: ErrorName, message: string): KafkaFailure {
  return { error, code: ERRORS[error], message: message.slice(0, MAX_MESSAGE) };
}

/** The answer to an error of storage; anything else is a bug of ours, logged, and told as UNKNOWN_SERVER_ERROR. */
export function failureOf(error: unknown, logger: Logger): KafkaFailure {
  if (isStorageError(error)) {
    const hint = error.hint === undefined ? '' : `. ${error.hint}`;
    return failure(STORAGE_TO_KAFKA[error.code], `${error.code}: ${error.message}${hint}`);
  }
  logger.error({ err: error }, 'a Kafka request failed in a way it never should');
  return failure('UNKNOWN_SERVER_ERROR', 'internal error, see the log of the server');
}
