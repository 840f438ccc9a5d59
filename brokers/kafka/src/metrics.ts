import type { Counter, Histogram, Metrics } from '@robustmq/core';
import { ERRORS, type ErrorName } from './error-codes.ts';

/** What closes a connection; the label of `robust_kafka_disconnects_total`. */
export const CLOSE_REASONS = ['client', 'idle', 'invalid', 'limit', 'refused', 'shutdown', 'stalled', 'error'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];

export interface ApiMetrics {
  readonly requests: Counter;
  readonly seconds: Histogram;
}

export interface KafkaMetrics {
  readonly bytesIn: Counter;
  readonly bytesOut: Counter;
  readonly disconnects: Readonly<Record<CloseReason, Counter>>;
  readonly pauses: Counter;
  api(name: string): ApiMetrics;
  /** Counts an error code that goes to a client. */
  error(code: number): void;
}

export function createMetrics(
  metrics: Metrics,
  read: { readonly connections: () => number; readonly outputBytes: () => number },
): KafkaMetrics {
  const apis = new Map<string, ApiMetrics>();
  const errors = new Map<number, Counter>();
  metrics.gauge('robust_kafka_connections', 'Open Kafka connections', read.connections);
  metrics.gauge('robust_kafka_output_bytes', 'Record bytes on their way to Kafka clients', read.outputBytes);
  return {
    bytesIn: metrics.counter('robust_kafka_received_bytes_total', 'Bytes received from Kafka clients'),
    bytesOut: metrics.counter('robust_kafka_sent_bytes_total', 'Bytes handed to sockets of Kafka clients'),
    pauses: metrics.counter('robust_kafka_pauses_total', 'Times a Kafka connection was not read for lack of room'),
    disconnects: disconnects(metrics),
    api(name) {
      const known = apis.get(name) ?? {
        requests: metrics.counter('robust_kafka_requests_total', 'Kafka requests received', { api: name }),
        seconds: metrics.histogram(
          'robust_kafka_request_seconds',
          'Time from a complete Kafka request to its answer, waits of fetches included',
          SECONDS,
          { api: name },
        ),
      };
      apis.set(name, known);
      return known;
    },
    error(code) {
      const counter =
        errors.get(code) ??
        metrics.counter('robust_kafka_errors_total', 'Error codes sent to Kafka clients', {
          error: NAMES.get(code) ?? 'other',
        });
      errors.set(code, counter);
      counter.value++;
    },
  };
}

const NAMES: ReadonlyMap<number, ErrorName> = new Map(
  // Object.entries forgets that the keys are the names
  (Object.entries(ERRORS) as [ErrorName, number][]).map(([name, code]) => [code, name]),
);

function disconnects(metrics: Metrics): Record<CloseReason, Counter> {
  const counters = CLOSE_REASONS.map((reason) => [
    reason,
    metrics.counter('robust_kafka_disconnects_total', 'Kafka connections that ended, by reason', { reason }),
  ]);
  // one entry for each reason, just made
  return Object.fromEntries(counters) as Record<CloseReason, Counter>;
}
