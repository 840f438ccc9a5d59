import type { MappingRule } from '@robustmq/broker-common';
import type { JsonSchema } from '@robustmq/core';

export interface MqttSettings {
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly maxPacketBytes: number;
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  readonly maxInflight: number;
  readonly maxQueuedBytes: number;
  readonly maxQueuedMessages: number;
  readonly maxSubscriptions: number;
  readonly publishRetryMs: number;
  readonly catchAll: string;
  readonly mappings: readonly MappingRule[];
}

export const settingsSchema: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    host: { type: 'string', default: '127.0.0.1', description: 'Address to listen on; 0.0.0.0 for all.' },
    port: { type: 'integer', minimum: 0, maximum: 65_535, default: 1883, description: 'TCP port; 0 for any free one.' },
    maxConnections: {
      type: 'integer',
      minimum: 1,
      default: 100_000,
      description: 'Connections at once; further ones are closed at once.',
    },
    connectTimeoutMs: {
      type: 'integer',
      minimum: 1,
      default: 10_000,
      description: 'How long a connection may stay open without a CONNECT.',
    },
    maxPacketBytes: {
      type: 'integer',
      minimum: 64,
      maximum: 268_435_460,
      default: 1_000_000,
      description:
        'Largest packet a client may send, header included; MQTT 5 clients are told. A message must also fit in maxMessageBytes of its topic.',
    },
    receiveMaximum: {
      type: 'integer',
      minimum: 1,
      maximum: 65_535,
      default: 65_535,
      description:
        'QoS 1 messages that an MQTT 5 client may have unacknowledged. Some clients do not heed a lower one.',
    },
    topicAliasMaximum: {
      type: 'integer',
      minimum: 0,
      maximum: 65_535,
      default: 64,
      description: 'Topic aliases that an MQTT 5 client may use; each may keep a topic name in memory.',
    },
    maxInflight: {
      type: 'integer',
      minimum: 1,
      maximum: 65_535,
      default: 256,
      description:
        'QoS 1 messages sent to one client and not acknowledged; a lower receive maximum of the client wins.',
    },
    maxQueuedBytes: {
      type: 'integer',
      minimum: 1024,
      default: 1_048_576,
      description:
        'Bytes of messages that wait in memory for one slow client. Beyond it QoS 0 is dropped and QoS 1 read from the log when there is room.',
    },
    maxQueuedMessages: {
      type: 'integer',
      minimum: 1,
      default: 1000,
      description: 'Messages that wait in memory for one slow client, as maxQueuedBytes.',
    },
    maxSubscriptions: {
      type: 'integer',
      minimum: 1,
      default: 10_000,
      description: 'Subscriptions of one client; further ones are refused in the SUBACK.',
    },
    publishRetryMs: {
      type: 'integer',
      minimum: 0,
      default: 5000,
      description: 'How long a message is tried again that the storage refuses for now (disk full, no credit).',
    },
    catchAll: {
      type: 'string',
      pattern: '^[A-Za-z0-9._-]{1,249}$',
      default: 'mqtt',
      description: 'The topic that takes MQTT names which no mapping and no topic of that name takes.',
    },
    mappings: {
      type: 'array',
      default: [],
      description: 'MQTT topic names onto topics; the first match wins.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['match', 'topic'],
        properties: {
          match: { type: 'string', description: 'A topic filter: sensors/#.' },
          topic: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,249}$', description: 'Where such names are written.' },
          shards: { type: 'integer', minimum: 1, description: 'Shards of the topic when it is created by this rule.' },
          template: {
            type: 'string',
            description:
              'The MQTT name with the record key in it: devices/{key}/state. Without it the key is the whole name.',
          },
        },
      },
    },
  },
};
