import type { Socket } from 'node:net';
import {
  ANONYMOUS,
  DeadlineSweep,
  LiveFeed,
  Publisher,
  TcpListener,
  TopicMapping,
  TopicRouter,
  topicInTenant,
} from '@robustmq/broker-common';
import type { Broker, BrokerContext, Counter, Listener } from '@robustmq/core';
import { REASON } from './codec/reason-codes.ts';
import { Connection } from './connection.ts';
import { Publishing } from './publishing.ts';
import type { MqttServices } from './services.ts';
import type { MqttSettings } from './settings.ts';

const PROTOCOL = 'mqtt';
/** Records that wait for one shard; beyond it publishers' sockets are not read. */
const MAX_PENDING_BYTES = 8_388_608;
const READ_BYTES = 262_144;
const MAX_DECOMPRESSED_BYTES = 16_777_216;

/** All MQTT connections of a node. */
export class MqttBroker implements Broker {
  readonly #ctx: BrokerContext<MqttSettings>;
  readonly #feed: LiveFeed;
  readonly #publisher: Publisher;
  readonly #sweep: DeadlineSweep;
  readonly #services: MqttServices;
  readonly #connections = new Set<Connection>();
  readonly #clients = new Map<string, Connection>();
  readonly #refused: Counter;
  #listeners: readonly TcpListener[] = [];
  #closing: Promise<void> | undefined;

  private constructor(ctx: BrokerContext<MqttSettings>) {
    const { config: settings, clock, logger, metrics, storage, memory } = ctx;
    const mapping = new TopicMapping(settings.mappings, settings.catchAll);
    this.#ctx = ctx;
    this.#sweep = new DeadlineSweep(clock);
    this.#feed = new LiveFeed({
      protocol: PROTOCOL,
      storage,
      mapping,
      clock,
      logger,
      metrics,
      readBytes: READ_BYTES,
      maxDecompressedBytes: MAX_DECOMPRESSED_BYTES,
    });
    this.#publisher = new Publisher({
      protocol: PROTOCOL,
      clock,
      memory,
      metrics,
      maxPendingBytes: MAX_PENDING_BYTES,
      retryForMs: settings.publishRetryMs,
    });
    const unroutable = metrics.counter(
      'robust_mqtt_unroutable_total',
      'Messages for which no topic could be found or created',
    );
    this.#refused = metrics.counter(
      'robust_mqtt_connections_refused_total',
      'Connections closed at once because there were too many',
    );
    metrics.gauge('robust_mqtt_connections', 'Open connections', () => this.#connections.size);
    metrics.gauge('robust_mqtt_queued_bytes', 'Bytes held for slow clients, in queues and behind sockets', () => {
      let bytes = 0;
      for (const connection of this.#connections) bytes += connection.backlog;
      return bytes;
    });
    this.#services = {
      settings,
      clock,
      memory,
      logger,
      feed: this.#feed,
      publishing: new Publishing(new TopicRouter(storage, mapping), this.#publisher, logger, unroutable),
      sweep: this.#sweep,
      received: metrics.counter('robust_mqtt_packets_received_total', 'Packets from clients'),
      sent: metrics.counter('robust_mqtt_packets_sent_total', 'Packets to clients'),
      attach: (clientId, connection) => this.#attach(clientId, connection),
      detach: (clientId, connection) => {
        if (this.#clients.get(clientId) === connection) this.#clients.delete(clientId);
      },
      authorize: (operation, name) =>
        ctx.authorizer.authorize(
          ANONYMOUS,
          operation,
          operation === 'connect' ? { type: 'cluster' } : { type: 'mqtt-topic', name: topicInTenant(ANONYMOUS, name) },
        ),
      newClientId: () => `auto-${ctx.random.uuid()}`,
      closed: (connection) => this.#connections.delete(connection),
    };
  }

  /** @throws PORT_IN_USE, BIND_FAILED, MAPPING_INVALID */
  static async open(ctx: BrokerContext<MqttSettings>): Promise<MqttBroker> {
    const broker = new MqttBroker(ctx);
    try {
      const { host, port } = ctx.config;
      const setting = `brokers.${ctx.instance}`;
      const connection = (socket: Socket): void => broker.#accept(socket);
      broker.#listeners = [await TcpListener.bind({ protocol: PROTOCOL, host, port, setting, connection })];
    } catch (error) {
      await broker.close();
      throw error;
    }
    return broker;
  }

  listeners(): readonly Listener[] {
    return this.#listeners;
  }

  async drain(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    for (const connection of this.#connections) connection.hold();
    await this.#publisher.drain();
    for (const { session } of this.#connections) session.kick(REASON.serverShuttingDown, 'the node stops');
    await this.#publisher.drain(); // wills
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    for (const connection of this.#connections) connection.destroy();
    this.#feed.close();
    this.#connections.clear();
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#ctx.config.maxConnections) {
      this.#refused.value++;
      socket.destroy();
      return;
    }
    this.#connections.add(new Connection(socket, this.#services));
  }

  #attach(clientId: string, connection: Connection): void {
    this.#clients.get(clientId)?.session.kick(REASON.sessionTakenOver, 'another connection uses this client id');
    this.#clients.set(clientId, connection);
  }
}
