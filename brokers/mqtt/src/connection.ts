/** The shell around one session: bytes to packets, packets to bytes, and the session's wishes to the rest of the broker. */
import type { Duplex } from 'node:stream';
import { CorkedWriter, type Deadline, Inbox, type Message, type Subscription } from '@robustmq/broker-common';
import type { StorageError } from '@robustmq/core';
import { Framer } from './codec/framer.ts';
import { REASON } from './codec/reason-codes.ts';
import type { Version } from './packet/connect.ts';
import { decodePacket, encodePacket, type Outgoing } from './packet/packet.ts';
import { PacketRoom } from './packet-room.ts';
import { publishReason, subscribeReason } from './reasons.ts';
import type { MqttServices } from './services.ts';
import { Session, type SessionPort } from './session/session.ts';

/** Deliveries stop while more than this waits for the socket. */
const SOFT_BACKLOG_BYTES = 262_144;
/** And reading stops while more than this does: the peer takes no answers. */
const HARD_BACKLOG_BYTES = 1_048_576;
/** How long a peer may take to hang up after we did. */
const LINGER_MS = 2000;

export class Connection implements SessionPort, Deadline {
  readonly session: Session;
  readonly #services: MqttServices;
  /** Of any listener: TCP today, TLS and WebSocket streams are duplex streams too. */
  readonly #socket: Duplex;
  readonly #writer: CorkedWriter;
  readonly #framer: Framer;
  readonly #inbox: Inbox;
  readonly #room: PacketRoom;
  #silentUntil: number;
  /** A packet waits for storage or memory: nothing behind it is looked at. */
  #blocked = false;
  #held = false;
  #paused = false;
  #ended = false;

  constructor(socket: Duplex, services: MqttServices) {
    const { settings, clock } = services;
    this.#services = services;
    this.#socket = socket;
    this.#writer = new CorkedWriter(socket);
    this.#framer = new Framer(settings.maxPacketBytes);
    this.session = new Session(settings, this, clock);
    this.#inbox = new Inbox(this.session, services.feed);
    this.#room = new PacketRoom(services.memory, clock);
    this.#silentUntil = clock.monotonic() + settings.connectTimeoutMs;
    services.sweep.add(this);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.session.lost('the client hung up'));
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#onClose());
  }

  /** On the monotonic clock: when silence, or a packet that does not get on, ends the connection. */
  get dueAt(): number {
    return Math.min(this.#silentUntil, this.#room.dueAt);
  }

  /** Bytes held for this client. */
  get backlog(): number {
    return this.#writer.backlog + this.session.queuedBytes;
  }

  /** By the sweep. */
  expired(): void {
    if (this.#ended) this.#socket.destroy();
    else if (this.#room.dueAt <= this.#services.clock.monotonic())
      this.session.kick(REASON.implementationSpecific, 'a large packet did not arrive in time');
    else if (this.#blocked)
      this.#connected(); // it may have spoken: we are the ones who don't listen
    else if (this.session.connected)
      this.session.kick(REASON.keepAliveTimeout, 'nothing heard for 1.5 keep alive intervals');
    else this.session.lost('no CONNECT in time');
  }

  send(packet: Outgoing, version: Version | undefined = this.session.version): void {
    for (const chunk of encodePacket(packet, version ?? 4)) this.#writer.write(chunk);
    this.#services.sent.value++;
    if (this.#writer.backlog > SOFT_BACKLOG_BYTES) this.session.writable(false);
  }

  attach(clientId: string): void {
    this.#services.attach(clientId, this);
  }

  authorize(operation: 'connect' | 'read' | 'write', name: string): boolean {
    return this.#services.authorize(operation, name);
  }

  newClientId(): string {
    return this.#services.newClientId();
  }

  publish(message: Message, token: number): void {
    const { publishing } = this.#services;
    const note = this.session.publisherNote;
    const waiting = publishing.publish(message, note, this, token);
    if (waiting !== undefined) this.#block(waiting);
  }

  /** By the publisher, once a token. */
  published(token: number, error: StorageError | undefined, topic: string): void {
    try {
      this.session.published(token, error === undefined ? this.#successOf(topic) : publishReason(error));
    } catch (bug) {
      this.#failed(bug);
    }
  }

  subscribe(packetId: number, subscriptions: readonly (Subscription | undefined)[], codes: readonly number[]): void {
    this.#block(this.#subscribe(packetId, subscriptions, codes));
  }

  unsubscribe(packetId: number, filters: readonly string[]): void {
    const codes = filters.map((filter) =>
      this.#services.feed.unsubscribe(this.#inbox, filter) ? REASON.success : REASON.noSubscriptionExisted,
    );
    this.session.unsubscribed(packetId, codes);
  }

  drained(): void {
    this.#inbox.pump();
  }

  close(will: Message | undefined, why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const { logger, feed, publishing, clock } = this.#services;
    logger.debug({ client: this.session.clientId, why }, 'MQTT connection ends');
    feed.leave(this.#inbox);
    this.#room.close();
    this.#services.detach(this.session.clientId, this);
    if (will !== undefined && this.#services.authorize('write', will.topic)) publishing.publishWill(will);
    this.#writer.flush();
    this.#socket.end();
    this.#socket.resume(); // what still comes is read and thrown away, so that the peer gets our last words and no reset
    this.#silentUntil = clock.monotonic() + LINGER_MS;
  }

  /** Takes no further packets: what came before is still acknowledged. */
  hold(): void {
    this.#held = true;
    this.#setFlow();
  }

  /** At once, without a word: the node is done. */
  destroy(): void {
    this.session.lost('the node stops');
    this.#socket.destroy();
  }

  async #subscribe(
    packetId: number,
    subscriptions: readonly (Subscription | undefined)[],
    codes: readonly number[],
  ): Promise<void> {
    const answers = [...codes];
    for (const [at, subscription] of subscriptions.entries()) {
      if (subscription === undefined) continue;
      const { subscriptions: had } = this.#inbox;
      if (had.size >= this.#services.settings.maxSubscriptions && !had.has(subscription.filter)) {
        answers[at] = REASON.quotaExceeded;
        continue;
      }
      try {
        await this.#services.feed.subscribe(this.#inbox, subscription);
      } catch (error) {
        answers[at] = subscribeReason(error);
        this.#services.logger.warn({ err: error, filter: subscription.filter }, 'a subscription failed');
      }
    }
    this.session.subscribed(packetId, answers);
  }

  /** MQTT 5 has a word for a message that nobody waited for. */
  #successOf(topic: string): number {
    if (this.session.version !== 5 || this.#services.feed.hasSubscriber(topic)) return REASON.success;
    return REASON.noMatchingSubscribers;
  }

  #onData(chunk: Buffer): void {
    if (this.#ended) return;
    const { clock } = this.#services;
    if (this.session.connected) this.#silentUntil = clock.monotonic() + this.session.silenceMs;
    this.#framer.push(chunk);
    this.#read();
  }

  /** Packet by packet until the input is used up or one has to wait. */
  #read(): void {
    const { session } = this;
    try {
      while (!this.#blocked && !this.#held && !session.closed) {
        const body = this.#framer.next();
        if (body === undefined) {
          this.#makeRoom();
          break;
        }
        this.#room.leave();
        const packet = decodePacket(this.#framer.firstByte, body, session.version);
        this.#services.received.value++;
        session.received(packet);
        if (packet.type === 'connect') this.#connected();
      }
    } catch (error) {
      this.#failed(error);
    }
    this.#setFlow();
  }

  /** For the packet of which a part is here. */
  #makeRoom(): void {
    const waiting = this.#framer.expected > 0 ? this.#room.enter(this.#framer.expected) : undefined;
    if (waiting !== undefined) this.#block(waiting);
  }

  #connected(): void {
    if (!this.session.connected) return;
    this.#framer.onlyConnect = false;
    this.#silentUntil = this.#services.clock.monotonic() + this.session.silenceMs;
  }

  #failed(error: unknown): void {
    try {
      this.session.failed(error);
    } catch (bug) {
      this.#services.logger.error({ err: bug }, 'an MQTT connection is closed because of an error in the broker');
      this.session.kick(REASON.unspecifiedError, 'an error in the broker');
    }
  }

  #block(until: Promise<void>): void {
    this.#blocked = true;
    until.then(
      () => this.#unblock(),
      (error: unknown) => {
        this.#failed(error);
        this.#unblock();
      },
    );
  }

  #unblock(): void {
    this.#blocked = false;
    if (!this.#ended) this.#read();
  }

  #onDrain(): void {
    if (this.#ended) return;
    this.session.writable(true);
    this.#setFlow();
  }

  /** Reads the socket exactly while its packets can be worked on. */
  #setFlow(): void {
    if (this.#ended) return;
    const pause = this.#blocked || this.#held || this.#writer.backlog > HARD_BACKLOG_BYTES;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#socket.pause();
    else this.#socket.resume();
  }

  #onClose(): void {
    this.session.lost('the connection broke');
    this.#services.sweep.delete(this);
    this.#services.closed(this);
  }
}
