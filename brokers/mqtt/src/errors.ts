import { RobustError } from '@robustmq/core';
import { REASON, type ReasonCode } from './codec/reason-codes.ts';

/** What a client did wrong. `reason` is what MQTT 5 has to say about it. */
export class MqttError extends RobustError {
  readonly reason: ReasonCode;

  constructor(code: 'MQTT_MALFORMED' | 'MQTT_PROTOCOL' | 'MQTT_REFUSED', reason: ReasonCode, message: string) {
    super(code, message, { hint: 'See the MQTT specification at the tag in the message' });
    this.name = 'MqttError';
    this.reason = reason;
  }
}

/** A CONNECT that gets a CONNACK with a reason, in the format of `version`. */
export class ConnectRefused extends MqttError {
  readonly version: 3 | 4 | 5;
  /** Of MQTT 3: the return code in the CONNACK. */
  readonly returnCode: number;

  constructor(version: 3 | 4 | 5, reason: ReasonCode, returnCode: number, message: string) {
    super('MQTT_REFUSED', reason, message);
    this.version = version;
    this.returnCode = returnCode;
  }
}

/** The bytes are no packet: 0x81. */
export function malformed(what: string): MqttError {
  return new MqttError('MQTT_MALFORMED', REASON.malformedPacket, what);
}

/** A packet that must not come, or not now, or not so: 0x82 unless there is a better word. */
export function protocolError(what: string, reason: ReasonCode = REASON.protocolError): MqttError {
  return new MqttError('MQTT_PROTOCOL', reason, what);
}
