/**
 * One client's session, from CONNECT to the end of the connection, as a pure machine: packets and outcomes in, calls on {@link SessionPort} out. No
 * socket, no timer, no storage; the clock is handed in. The shell around it is `connection.ts`.
 *
 * This floor keeps no state beyond the connection: a session asked to outlive it is told that it does not (session expiry 0). QoS 2 and
 * retained messages are refused in the words the protocol has for that.
 */
import type { Delivery, DeliverySink, Message, Subscription } from '@robustmq/broker-common';
import type { Clock } from '@robustmq/core';
import { REASON } from '../codec/reason-codes.ts';
import { ConnectRefused, MqttError, protocolError } from '../errors.ts';
import type { Connect, Version } from '../packet/connect.ts';
import type { Disconnect } from '../packet/disconnect.ts';
import { encodePacket, type Incoming, type Outgoing } from '../packet/packet.ts';
import type { Publish } from '../packet/publish.ts';
import type { Subscribe } from '../packet/subscribe.ts';
import { acceptConnect, refusal } from './accept-connect.ts';
import { AckQueue } from './ack-queue.ts';
import { toMessage, toPublish } from './message-packets.ts';
import { Outbox } from './outbox.ts';

export interface SessionLimits {
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  readonly maxPacketBytes: number;
  /** QoS 1 messages in flight to a client that names no receive maximum, or a larger one. */
  readonly maxInflight: number;
  readonly maxQueuedBytes: number;
  readonly maxQueuedMessages: number;
}

/** What the session has done by others. None of it answers at once but `authorize`; answers come back as calls on the session. */
export interface SessionPort {
  /** `version`: of a refusal, which may come before the client's own is known. */
  send(packet: Outgoing, version?: Version): void;
  /** The CONNECT is good: take over from an older connection of this client id. The CONNACK follows. */
  attach(clientId: string): void;
  authorize(operation: 'connect' | 'read' | 'write', name: string): boolean;
  /** Answered by {@link Session.published} when `token` is not 0. */
  publish(message: Message, token: number): void;
  /** Answered by {@link Session.subscribed}. `undefined` entries were refused already. */
  subscribe(packetId: number, subscriptions: readonly (Subscription | undefined)[], codes: readonly number[]): void;
  /** Answered by {@link Session.unsubscribed}. */
  unsubscribe(packetId: number, filters: readonly string[]): void;
  /** The queue may have room again. */
  drained(): void;
  newClientId(): string;
  /** The session is over: publish the will, if there is one, and close the connection behind what was sent. */
  close(will: Message | undefined, why: string): void;
}

type State = 'waiting' | 'connected' | 'closed';

export class Session implements DeliverySink {
  readonly #limits: SessionLimits;
  readonly #port: SessionPort;
  readonly #clock: Clock;
  readonly #acks = new AckQueue();
  readonly #aliases = new Map<number, string>();
  #state: State = 'waiting';
  #connect: Connect | undefined;
  #outbox: Outbox | undefined;
  #clientId = '';
  #noLocal = false;

  constructor(limits: SessionLimits, port: SessionPort, clock: Clock) {
    this.#limits = limits;
    this.#port = port;
    this.#clock = clock;
  }

  get clientId(): string {
    return this.#clientId;
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** Undefined before the CONNECT. */
  get version(): Version | undefined {
    return this.#connect?.version;
  }

  /** Silence for longer than this ends the connection; `Infinity` when the client asked for none [MQTT-3.1.2-22]. */
  get silenceMs(): number {
    const seconds = this.#connect?.keepAlive ?? 0;
    return seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1500;
  }

  /** The client id when one of its subscriptions is no-local: then its records must say whose they are. */
  get publisherNote(): string | undefined {
    return this.#noLocal ? this.#clientId : undefined;
  }

  get queuedBytes(): number {
    return this.#outbox?.queuedBytes ?? 0;
  }

  received(packet: Incoming): void {
    if (this.#state === 'closed') return;
    try {
      this.#dispatch(packet);
    } catch (error) {
      this.failed(error);
    }
  }

  /** What came in could not be read, or broke a rule. Errors of other kinds are not the client's: they are thrown on. */
  failed(error: unknown): void {
    if (!(error instanceof MqttError)) throw error;
    if (this.#state === 'closed') return;
    if (error instanceof ConnectRefused && this.#state === 'waiting') {
      this.#port.send(refusal(error.version === 5 ? error.reason : error.returnCode), error.version);
      this.#end(error.message);
    } else this.#fail(error.reason, error.message);
  }

  /** The connection must end for a reason of ours: takeover, shutdown, silence. */
  kick(reason: number, why: string): void {
    if (this.#state !== 'closed') this.#fail(reason, why);
  }

  /** The connection is gone. */
  lost(why: string): void {
    if (this.#state !== 'closed') this.#end(why);
  }

  /** `reason`: success, or what an MQTT 5 client hears; older ones hear only the connection close. */
  published(token: number, reason: number): void {
    if (this.#state !== 'connected') return;
    if (reason >= 0x80 && this.version !== 5 && reason !== REASON.notAuthorized) {
      this.#end('a message could not be stored, and MQTT 3 has no word for that');
      return;
    }
    this.#acks.settle(token, reason, (packetId, code) =>
      this.#port.send({ type: 'puback', packetId, reason: this.version === 5 ? code : 0 }),
    );
  }

  /** The subscriptions are in force (or refused): messages may follow from now on, not before [MQTT-3.8.4-1]. */
  subscribed(packetId: number, codes: readonly number[]): void {
    if (this.#state === 'connected') this.#port.send({ type: 'suback', packetId, codes });
  }

  unsubscribed(packetId: number, codes: readonly number[]): void {
    if (this.#state === 'connected') this.#port.send({ type: 'unsuback', packetId, codes });
  }

  hasRoom(): boolean {
    return this.#state === 'connected' && (this.#outbox?.hasRoom() ?? false);
  }

  take(delivery: Delivery): void {
    this.#outbox?.take(delivery);
  }

  writable(yes: boolean): void {
    if (this.#outbox === undefined) return;
    this.#outbox.writable = yes;
    if (yes) this.#pump();
  }

  #dispatch(packet: Incoming): void {
    switch (packet.type) {
      case 'connect':
        this.#onConnect(packet);
        break;
      case 'publish':
        this.#onPublish(packet);
        break;
      case 'puback':
        if (this.#outbox?.acknowledged(packet.packetId) === true) this.#pump();
        break;
      case 'pubrec':
        this.#refuseWrongAck(packet.packetId, 'PUBREC');
        if (packet.reason < 0x80) this.#port.send({ type: 'pubrel', packetId: packet.packetId, reason: 0 });
        break;
      case 'pubrel':
        this.#port.send({ type: 'pubcomp', packetId: packet.packetId, reason: 0 });
        break;
      case 'pubcomp':
        this.#refuseWrongAck(packet.packetId, 'PUBCOMP');
        break;
      case 'subscribe':
        this.#onSubscribe(packet);
        break;
      case 'unsubscribe':
        this.#port.unsubscribe(packet.packetId, packet.filters);
        break;
      case 'pingreq':
        this.#port.send({ type: 'pingresp' });
        break;
      case 'disconnect':
        this.#onDisconnect(packet);
    }
  }

  #onConnect(packet: Connect): void {
    if (packet.clientId !== '') this.#clientId = packet.clientId;
    else this.#clientId = this.#port.newClientId();
    const connack = acceptConnect(packet, this.#clientId, this.#limits);
    if (!this.#port.authorize('connect', this.#clientId))
      throw new ConnectRefused(packet.version, REASON.notAuthorized, 5, 'the principal may not connect');
    const limit = packet.properties.maximumPacketSize;
    if (limit !== undefined && sizeOf(connack, packet.version) > limit) {
      this.#end('not even the CONNACK fits in the largest packet the client takes'); // [MQTT-3.1.2-24]
      return;
    }
    this.#connect = packet;
    this.#outbox = new Outbox(
      {
        window: Math.min(packet.properties.receiveMaximum ?? this.#limits.maxInflight, this.#limits.maxInflight),
        maxBytes: this.#limits.maxQueuedBytes,
        maxMessages: this.#limits.maxQueuedMessages,
      },
      (delivery, packetId) => this.#deliver(delivery, packetId),
    );
    this.#port.attach(this.#clientId);
    this.#state = 'connected';
    this.#port.send(connack);
  }

  #onPublish(packet: Publish): void {
    const topic = this.#resolveAlias(packet);
    const v5 = this.version === 5;
    if (packet.qos === 2) throw protocolError('QoS 2 is not supported yet [MQTT-3.2.2-11]', REASON.qosNotSupported);
    if (packet.retain && v5)
      throw protocolError('retained messages are not supported yet [MQTT-3.2.2-14]', REASON.retainNotSupported);
    if (packet.qos === 1 && v5 && this.#acks.length >= this.#limits.receiveMaximum)
      throw protocolError(
        'more unacknowledged messages than the receive maximum (section 3.3.4)',
        REASON.receiveMaximumExceeded,
      );
    const token = packet.qos === 1 ? this.#acks.add(packet.packetId) : 0;
    if (isServerOnly(topic) || !this.#port.authorize('write', topic)) {
      if (token !== 0) this.published(token, REASON.notAuthorized); // [MQTT-3.3.5-2]: acknowledged all the same before MQTT 5
      return;
    }
    // before MQTT 5 there is no way to refuse a retained message: it is published, and not retained
    const message = toMessage(packet.retain ? { ...packet, retain: false } : packet, topic, this.#clock.wall());
    this.#port.publish(message, token);
  }

  #resolveAlias(packet: Publish): string {
    const alias = packet.properties.topicAlias;
    if (alias === undefined) return packet.topic;
    if (alias > this.#limits.topicAliasMaximum)
      throw protocolError(`topic alias ${alias} above the maximum [MQTT-3.3.2-9]`, REASON.topicAliasInvalid);
    if (packet.topic !== '') {
      this.#aliases.set(alias, packet.topic); // [MQTT-3.3.2-12]
      return packet.topic;
    }
    const topic = this.#aliases.get(alias);
    if (topic === undefined) throw protocolError(`topic alias ${alias} stands for nothing`, REASON.protocolError);
    return topic;
  }

  #onSubscribe(packet: Subscribe): void {
    const codes: number[] = [];
    const subscriptions = packet.requests.map((request): Subscription | undefined => {
      const qos = request.qos > 1 ? 1 : request.qos; // what is granted may be less [MQTT-3.8.4-7]
      if (request.filter.startsWith('$share/') || request.filter === '$share') {
        codes.push(REASON.sharedSubscriptionsNotSupported); // the CONNACK said so
        return undefined;
      }
      if (!this.#port.authorize('read', request.filter)) {
        codes.push(REASON.notAuthorized);
        return undefined;
      }
      codes.push(qos);
      if (request.noLocal) this.#noLocal = true;
      const { filter, noLocal, retainAsPublished } = request;
      return { filter, qos, noLocal, retainAsPublished, identifier: packet.identifier };
    });
    this.#port.subscribe(packet.packetId, subscriptions, codes);
  }

  #onDisconnect(packet: Disconnect): void {
    const before = this.#connect?.properties.sessionExpiry ?? 0;
    if (before === 0 && (packet.properties.sessionExpiry ?? 0) > 0)
      throw protocolError('a session expiry in the DISCONNECT after none in the CONNECT (section 3.14.2.2.2)');
    if (packet.reason === REASON.success) this.#connect = undefined; // [MQTT-3.14.4-3]: no will
    this.#end('the client disconnected');
  }

  /** A PUBREC or PUBCOMP for a message that was sent with QoS 1. */
  #refuseWrongAck(packetId: number, what: string): void {
    if (this.#outbox?.isInFlight(packetId) === true)
      throw protocolError(`a ${what} for a message of QoS 1 (section 4.3.2)`);
  }

  #deliver(delivery: Delivery, packetId: number): boolean {
    const version = this.version;
    if (version === undefined) return false;
    const packet = toPublish(delivery, packetId, version, this.#clock.wall());
    if (packet === undefined) return false;
    const limit = this.#connect?.properties.maximumPacketSize;
    if (limit !== undefined && sizeOf(packet, version) > limit) return false; // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
    this.#port.send(packet);
    return true;
  }

  #pump(): void {
    this.#outbox?.pump();
    if (this.hasRoom()) this.#port.drained();
  }

  #fail(reason: number, why: string): void {
    if (this.#state === 'connected' && this.version === 5) this.#port.send({ type: 'disconnect', reason });
    this.#end(why);
  }

  #end(why: string): void {
    const will = this.#state === 'connected' ? this.#connect?.will : undefined;
    this.#state = 'closed';
    this.#outbox?.clear();
    this.#port.close(will === undefined ? undefined : toMessage(toFloor(will), will.topic, this.#clock.wall()), why);
  }
}

/** `$SYS` and the names of shared subscriptions are not for clients to publish to (section 4.7.2). */
function isServerOnly(topic: string): boolean {
  return topic.startsWith('$SYS/') || topic === '$SYS' || topic.startsWith('$share/') || topic.startsWith('$queue/');
}

/** A will that an MQTT 3 client asked for with more than there is yet. */
function toFloor<T extends { readonly qos: 0 | 1 | 2 }>(will: T): T & { readonly qos: 0 | 1; readonly retain: false } {
  return { ...will, qos: will.qos === 0 ? 0 : 1, retain: false };
}

function sizeOf(packet: Outgoing, version: Version): number {
  let bytes = 0;
  for (const chunk of encodePacket(packet, version)) bytes += chunk.length;
  return bytes;
}
