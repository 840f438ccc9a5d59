/** A message as publish-and-subscribe protocols see it: MQTT's model, the richest of them. What a broker takes in and hands out. */
export interface Message {
  /** The MQTT topic name. */
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  /** As the publisher set it. */
  readonly retain: boolean;
  /** Milliseconds since 1970: when the broker took it in. */
  readonly timestamp: number;
  readonly properties: MessageProperties;
}

export type QoS = 0 | 1 | 2;

/** The properties of an MQTT 5 PUBLISH that travel with the message. */
export interface MessageProperties {
  /** 0: bytes, 1: UTF-8. */
  readonly payloadFormat?: 0 | 1;
  /** Seconds from `timestamp` on. */
  readonly expiry?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  /** In the publisher's order; names may repeat. */
  readonly user?: readonly UserProperty[];
}

export type UserProperty = readonly [name: string, value: string];

export const NO_PROPERTIES: MessageProperties = Object.freeze({});

/** Seconds left to live, `undefined` without an expiry; 0 or less: expired. [MQTT-3.3.2-6] */
export function secondsLeft(message: Message, now: number): number | undefined {
  const { expiry } = message.properties;
  if (expiry === undefined) return undefined;
  return expiry - Math.floor(Math.max(0, now - message.timestamp) / 1000);
}
