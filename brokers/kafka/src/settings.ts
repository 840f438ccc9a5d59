import type { JsonSchema } from '@robustmq/core';

/** `brokers.kafka.*` in the config. */
export interface KafkaSettings {
  readonly host: string;
  readonly port: number;
  /** `host:port` that Metadata tells clients to connect to. Without it: where the listener is, or for a wildcard where the client came in. */
  readonly advertised?: string;
  readonly maxConnections: number;
  readonly maxRequestBytes: number;
  readonly maxFetchBytes: number;
  readonly maxInFlightPerConnection: number;
  readonly maxOutputBytesPerConnection: number;
  readonly maxResponseBytes: number;
  readonly idleTimeoutMs: number;
}

const MIB = 1024 * 1024;

export const settingsSchema: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    host: { type: 'string', default: '127.0.0.1', description: 'Address the listener binds.' },
    port: { type: 'integer', minimum: 0, maximum: 65535, default: 9092, description: 'Port; 0 takes a free one.' },
    advertised: {
      type: 'string',
      pattern: '^.+:[0-9]{1,5}$',
      description:
        'host:port that Metadata returns to clients, when they reach this node by another address than `host`.',
    },
    maxConnections: {
      type: 'integer',
      minimum: 1,
      default: 10_000,
      description: 'Connections beyond it are closed at once.',
    },
    maxRequestBytes: {
      type: 'integer',
      minimum: 1024,
      maximum: 1024 * MIB,
      default: 32 * MIB,
      description: 'Largest request; a connection that announces a larger one is closed before any of it is kept.',
    },
    maxFetchBytes: {
      type: 'integer',
      minimum: 1024,
      maximum: 1024 * MIB,
      default: 55 * MIB,
      description: 'Largest Fetch response, whatever the client asks for. A single larger batch still passes.',
    },
    maxInFlightPerConnection: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 16,
      description: 'Requests of one connection that are worked on at a time; more wait in the socket.',
    },
    maxOutputBytesPerConnection: {
      type: 'integer',
      minimum: 1024,
      default: MIB,
      description: 'While a client has left more than this unread, its next requests wait.',
    },
    maxResponseBytes: {
      type: 'integer',
      minimum: MIB,
      default: 256 * MIB,
      description: 'Record bytes on their way to all clients together; fetches get smaller as it fills up.',
    },
    idleTimeoutMs: {
      type: 'integer',
      minimum: 1000,
      default: 600_000,
      description: 'A connection on which nothing has moved for this long is closed.',
    },
  },
};

/** Every default of the schema, for tests and for whoever opens the broker without a config. */
export const DEFAULT_SETTINGS: KafkaSettings = {
  host: '127.0.0.1',
  port: 9092,
  maxConnections: 10_000,
  maxRequestBytes: 32 * MIB,
  maxFetchBytes: 55 * MIB,
  maxInFlightPerConnection: 16,
  maxOutputBytesPerConnection: MIB,
  maxResponseBytes: 256 * MIB,
  idleTimeoutMs: 600_000,
};
