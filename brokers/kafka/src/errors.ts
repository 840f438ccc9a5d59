import { RobustError } from '@robustmq/core';

/** Codes of this package; docs/errors.md says what to do about each. */
export const KAFKA_CODES = ['KAFKA_FRAME_INVALID', 'KAFKA_REQUEST_INVALID'] as const;
export type KafkaCode = (typeof KAFKA_CODES)[number];

/** What a peer sent is no Kafka request, or not the one it says it is. Its connection is closed. */
export class KafkaProtocolError extends RobustError {
  declare readonly code: KafkaCode;
}

export function malformed(what: string): KafkaProtocolError {
  return new KafkaProtocolError('KAFKA_REQUEST_INVALID', what, {
    hint: 'Is the client speaking Kafka to this port, and a version of the request that ApiVersions lists?',
  });
}
