import { isStorageError, RobustError } from '@robustmq/core';
import { REASON } from './codec/reason-codes.ts';

/** What an MQTT 5 client hears whose message could not be stored. */
export function publishReason(error: unknown): number {
  if (isStorageError(error, 'DISK_FULL', 'BACKPRESSURE', 'BATCH_TOO_LARGE')) return REASON.quotaExceeded;
  if (isStorageError(error, 'TOPIC_UNKNOWN', 'TOPIC_INVALID')) return REASON.topicNameInvalid;
  if (error instanceof RobustError) return REASON.implementationSpecific;
  return REASON.unspecifiedError;
}

/** And one whose subscription failed. */
export function subscribeReason(error: unknown): number {
  return error instanceof RobustError ? REASON.implementationSpecific : REASON.unspecifiedError;
}
