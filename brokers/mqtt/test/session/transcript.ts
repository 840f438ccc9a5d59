import type { Delivery, Message, Subscription } from '@robustmq/broker-common';
import { VirtualClock } from '@robustmq/core/testing';
import type { Properties } from '../../src/codec/properties.ts';
import type { Connect, Version } from '../../src/packet/connect.ts';
import type { Incoming, Outgoing } from '../../src/packet/packet.ts';
import type { Publish } from '../../src/packet/publish.ts';
import { Session, type SessionLimits, type SessionPort } from '../../src/session/session.ts';

const LIMITS: SessionLimits = {
  receiveMaximum: 20,
  topicAliasMaximum: 10,
  maxPacketBytes: 2_000_000,
  maxInflight: 4,
  maxQueuedBytes: 4000,
  maxQueuedMessages: 5,
};

/** A session and the story of what goes in (`>`) and comes out (`<` to the client, `=` to the broker). */
export class Transcript implements SessionPort {
  readonly clock = new VirtualClock();
  readonly session: Session;
  /** Operations and names that are refused, as `write secret`. */
  forbidden = new Set<string>();
  #lines: string[] = [];
  #ids = 0;

  constructor(limits: Partial<SessionLimits> = {}) {
    this.session = new Session({ ...LIMITS, ...limits }, this, this.clock);
  }

  /** What has happened since the last call. */
  story(): string[] {
    return this.#lines.splice(0);
  }

  receive(packet: Incoming): this {
    this.#lines.push(`> ${show(packet)}`);
    this.session.received(packet);
    return this;
  }

  connect(version: Version, more: Partial<Connect> = {}): this {
    this.receive({
      type: 'connect',
      version,
      cleanStart: true,
      keepAlive: 60,
      clientId: 'c',
      will: undefined,
      username: undefined,
      password: undefined,
      properties: {},
      ...more,
    });
    return this;
  }

  publishes(topic: string, qos: 0 | 1 | 2, packetId = 0, more: Partial<Publish> = {}): this {
    const payload = new Uint8Array(0);
    return this.receive({
      type: 'publish',
      qos,
      dup: false,
      retain: false,
      topic,
      packetId,
      properties: {},
      payload,
      ...more,
    });
  }

  /** A message from the feed, as it would come: only when there is room. */
  feed(topic: string, qos: 0 | 1, more: Partial<Delivery> = {}, size = 1, properties = {}): boolean {
    if (!this.session.hasRoom()) return false;
    const message: Message = {
      topic,
      payload: new Uint8Array(size),
      qos: 1,
      retain: false,
      timestamp: this.clock.wall(),
      properties,
    };
    // the session has no use for the tail
    this.session.take({ message, qos, retain: false, identifiers: [], offset: 0, ...more } as unknown as Delivery);
    return true;
  }

  send(packet: Outgoing): void {
    this.#lines.push(`< ${show(packet)}`);
  }

  attach(clientId: string): void {
    this.#lines.push(`= attach ${clientId}`);
  }

  authorize(operation: 'connect' | 'read' | 'write', name: string): boolean {
    return !this.forbidden.has(`${operation} ${name}`);
  }

  publish(message: Message, token: number): void {
    this.#lines.push(`= publish ${message.topic} qos ${message.qos}${message.retain ? ' retain' : ''} token ${token}`);
  }

  subscribe(packetId: number, subscriptions: readonly (Subscription | undefined)[], codes: readonly number[]): void {
    const wanted = subscriptions.map((each) => (each === undefined ? '-' : `${each.filter} qos ${each.qos}`));
    this.#lines.push(`= subscribe ${packetId} ${wanted.join(', ')}`);
    this.session.subscribed(packetId, codes);
  }

  unsubscribe(packetId: number, filters: readonly string[]): void {
    this.#lines.push(`= unsubscribe ${packetId} ${filters.join(', ')}`);
  }

  drained(): void {
    this.#lines.push('= room');
  }

  newClientId(): string {
    return `made-${++this.#ids}`;
  }

  close(will: Message | undefined, why: string): void {
    this.#lines.push(`= close${will === undefined ? '' : ` will ${will.topic}`}: ${why}`);
  }
}

function show(packet: Incoming | Outgoing): string {
  switch (packet.type) {
    case 'connect':
      return `CONNECT ${packet.version} ${packet.clientId || '(no id)'}`;
    case 'connack':
      return `CONNACK ${hex(packet.code)}${properties(packet.properties)}`;
    case 'publish':
      return `PUBLISH ${packet.topic || '(alias)'} qos ${packet.qos}${packet.qos > 0 ? ` id ${packet.packetId}` : ''}${properties(packet.properties)}`;
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return `${packet.type.toUpperCase()} ${packet.packetId} ${hex(packet.reason)}`;
    case 'suback':
    case 'unsuback':
      return `${packet.type.toUpperCase()} ${packet.packetId} ${packet.codes.map(hex).join(' ')}`;
    case 'disconnect':
      return `DISCONNECT ${hex(packet.reason)}`;
    case 'subscribe':
      return `SUBSCRIBE ${packet.packetId} ${packet.requests.map(({ filter, qos }) => `${filter} qos ${qos}`).join(', ')}`;
    default:
      return packet.type.toUpperCase();
  }
}

function hex(code: number): string {
  return code.toString(16).padStart(2, '0');
}

function properties(given: Properties): string {
  return Object.entries(given)
    .map(([name, value]) => ` ${name}=${value}`)
    .join('');
}
