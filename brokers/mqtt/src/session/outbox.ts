import type { Delivery, Message } from '@robustmq/broker-common';

export interface OutboxLimits {
  /** QoS 1 messages that may be unacknowledged: the client's receive maximum, or our own limit if that is lower [MQTT-3.3.4-9]. */
  readonly window: number;
  /** Of messages that wait for the socket or the window. */
  readonly maxBytes: number;
  readonly maxMessages: number;
}

/** Deliveries on their way to one client: at once when socket and window allow, else from a bounded queue, in order. */
export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #send: (delivery: Delivery, packetId: number) => boolean;
  readonly #inFlight = new Set<number>();
  #queue: Delivery[] = [];
  #head = 0;
  #bytes = 0;
  #lastId = 0;
  /** Does the socket take more? */
  writable = true;

  /** `send` says false when the delivery was not for this client after all (too large); its packet id is free again then. */
  constructor(limits: OutboxLimits, send: (delivery: Delivery, packetId: number) => boolean) {
    this.#limits = limits;
    this.#send = send;
  }

  get queuedBytes(): number {
    return this.#bytes;
  }

  get queued(): number {
    return this.#queue.length - this.#head;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  hasRoom(): boolean {
    return this.#bytes < this.#limits.maxBytes && this.queued < this.#limits.maxMessages;
  }

  /** The caller has asked {@link hasRoom}. */
  take(delivery: Delivery): void {
    if (this.queued === 0 && this.#sendable(delivery)) {
      this.#sendNow(delivery);
      return;
    }
    this.#queue.push({ ...delivery, message: ownCopy(delivery.message) });
    this.#bytes += weight(delivery.message);
  }

  /** @returns false when nothing was in flight under this id. */
  acknowledged(packetId: number): boolean {
    return this.#inFlight.delete(packetId);
  }

  isInFlight(packetId: number): boolean {
    return this.#inFlight.has(packetId);
  }

  /** Sends what can be sent now. */
  pump(): void {
    for (
      let next = this.#queue[this.#head];
      next !== undefined && this.#sendable(next);
      next = this.#queue[this.#head]
    ) {
      this.#head++;
      this.#bytes -= weight(next.message);
      this.#sendNow(next);
    }
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#queue = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#inFlight.clear();
  }

  #sendable(delivery: Delivery): boolean {
    return this.writable && (delivery.qos === 0 || this.#inFlight.size < this.#limits.window);
  }

  #sendNow(delivery: Delivery): void {
    if (delivery.qos === 0) {
      this.#send(delivery, 0);
      return;
    }
    const packetId = this.#freeId();
    this.#inFlight.add(packetId);
    if (this.#send(delivery, packetId)) return;
    this.#inFlight.delete(packetId);
  }

  /** [MQTT-2.2.1-4]; the window is smaller than the number of ids, so there is one. */
  #freeId(): number {
    do this.#lastId = (this.#lastId % 65_535) + 1;
    while (this.#inFlight.has(this.#lastId));
    return this.#lastId;
  }
}

/** What a queued message holds in memory, roughly and rather too much than too little. */
function weight({ topic, payload, properties }: Message): number {
  let bytes = 256 + topic.length + payload.length + (properties.correlationData?.length ?? 0);
  for (const [name, value] of properties.user ?? []) bytes += 64 + name.length + value.length;
  return bytes;
}

/** Bytes of its own, shared by all who queue the message: a view would keep the whole chunk it was read with. */
function ownCopy(message: Message): Message {
  const known = copies.get(message);
  if (known !== undefined) return known;
  const { correlationData, ...properties } = message.properties;
  const copy: Message = {
    ...message,
    payload: Uint8Array.from(message.payload),
    properties:
      correlationData === undefined ? properties : { ...properties, correlationData: Uint8Array.from(correlationData) },
  };
  copies.set(message, copy);
  copies.set(copy, copy);
  return copy;
}

const copies = new WeakMap<Message, Message>();
