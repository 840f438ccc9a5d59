/**
 * What a protocol broker is to the node: a plug-in that opens listeners and speaks to clients. It gets topics and shards by
 * {@link StorageAdapter} and imports nothing of engines.
 */
import type { StorageAdapter } from './adapter.ts';
import type { MemoryShare } from './memory.ts';
import type { JsonSchema } from './plugin/schema.ts';
import type { Clock, Logger, Metrics, Random } from './world.ts';

export const BROKER_API_VERSION = 0.1;

export interface BrokerDefinition<Config = unknown> {
  /** `mqtt` for the package `@robustmq/broker-mqtt` or `robust-broker-mqtt`. */
  readonly name: string;
  readonly apiVersion: number;
  readonly version: string;
  readonly configSchema: JsonSchema;
  open(ctx: BrokerContext<Config>): Promise<Broker>;
}

export function defineBroker<Config>(definition: BrokerDefinition<Config>): BrokerDefinition<Config> {
  return definition;
}

export interface BrokerContext<Config = unknown> {
  /** The broker's name in the config: the prefix of its settings in messages (`brokers.mqtt.port`). */
  readonly instance: string;
  readonly config: Config;
  readonly storage: StorageAdapter;
  readonly node: { readonly id: number; readonly clusterId: string };
  readonly authorizer: Authorizer;
  /** This node's account of bytes that requests hold between socket and engine; shared by all brokers. */
  readonly memory: MemoryShare;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Aborted when the node stops in a hurry. */
  readonly signal: AbortSignal;
}

export interface Broker {
  /** Bound by now: `port` is the real one also where the config says 0. */
  listeners(): readonly Listener[];
  /** Stops accepting, lets what is in flight finish, tells clients to go where the protocol has a word for it. */
  drain(): Promise<void>;
  /** Closes every connection, timer and listener. Idempotent. */
  close(): Promise<void>;
}

export interface Listener {
  /** `mqtt`, `kafka`, `mqtt-tls`, ... */
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  /** The config setting that chose the port, for messages. */
  readonly setting: string;
}

/** Who asks. `anonymous` until there is authentication. */
export interface Principal {
  readonly name: string;
  /** Every name a client uses resolves inside this tenant; `default` for all at first. */
  readonly tenant: string;
}

export type Operation = 'connect' | 'read' | 'write' | 'create' | 'delete' | 'alter' | 'describe';

export type Resource =
  | { readonly type: 'topic'; readonly name: string }
  | { readonly type: 'mqtt-topic'; readonly name: string }
  | { readonly type: 'cluster' };

/** Asked by every handler before it acts. Synchronous: policies are kept in memory, fed by Meta. */
export interface Authorizer {
  authorize(principal: Principal, operation: Operation, resource: Resource): boolean;
}
