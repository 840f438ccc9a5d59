import type { Message, QoS } from '../message/message.ts';
import type { TailReader } from './tail-reader.ts';

export interface Subscription {
  readonly filter: string;
  readonly qos: QoS;
  /** Not what the subscriber's own client id published. */
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Goes along with each message that this subscription brings. */
  readonly identifier: number | undefined;
}

/** One message for one subscriber, however many of its subscriptions match [MQTT-3.3.4-2]. */
export interface Delivery {
  readonly tail: TailReader;
  readonly offset: number;
  readonly message: Message;
  /** The smaller of the publisher's and the subscription's [MQTT-3.8.4-8]. */
  readonly qos: QoS;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
}

/** What the subscriptions that match one message come to. */
export class Match {
  #qos: QoS = 0;
  #retain = false;
  #identifiers: number[] | undefined;

  add(subscription: Subscription): void {
    if (subscription.qos > this.#qos) this.#qos = subscription.qos;
    if (subscription.retainAsPublished) this.#retain = true;
    if (subscription.identifier === undefined) return;
    this.#identifiers ??= [];
    this.#identifiers.push(subscription.identifier);
  }

  delivery(tail: TailReader, offset: number, message: Message): Delivery {
    return {
      tail,
      offset,
      message,
      qos: this.#qos < message.qos ? this.#qos : message.qos,
      retain: this.#retain && message.retain,
      identifiers: this.#identifiers ?? NONE,
    };
  }
}

const NONE: readonly number[] = [];
