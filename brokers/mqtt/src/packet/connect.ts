import type { QoS } from '@robustmq/broker-common';
import { ByteReader } from '../codec/byte-reader.ts';
import { type Properties, type PropertyName, readProperties } from '../codec/properties.ts';
import { REASON } from '../codec/reason-codes.ts';
import { ConnectRefused, MqttError, malformed, protocolError } from '../errors.ts';

export type Version = 3 | 4 | 5;

export interface Connect {
  readonly type: 'connect';
  /** Protocol level: 3 is MQTT 3.1, 4 is 3.1.1. */
  readonly version: Version;
  readonly cleanStart: boolean;
  /** Seconds; 0: none. */
  readonly keepAlive: number;
  readonly clientId: string;
  readonly will: Will | undefined;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly properties: Properties;
}

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: Properties;
}

/**
 *     protocol name string | protocol level u8 | connect flags u8 | keep alive u16 | properties (5)
 *       | client id string | will properties (5), will topic string, will payload binary | user name string | password binary
 *
 * @throws ConnectRefused when there is something to answer, MqttError when the connection just ends.
 */
export function decodeConnect(firstByte: number, body: Uint8Array): Connect {
  const reader = new ByteReader(body);
  const version = readVersion(reader);
  if (version === 5) return withConnack(() => decodeRest(firstByte, reader, version));
  return decodeRest(firstByte, reader, version);
}

function decodeRest(firstByte: number, reader: ByteReader, version: Version): Connect {
  // MQTT 3.1 gives DUP, QoS and RETAIN of a CONNECT no meaning, and clients of its time set them
  if (version > 3 && (firstByte & 0x0f) !== 0) throw malformed('flags of a CONNECT that are not 0 [MQTT-2.1.3-1]');
  const flags = reader.u8();
  if (version > 3 && (flags & 0x01) !== 0) throw malformed('the reserved connect flag is set [MQTT-3.1.2-3]');
  const hasWill = (flags & 0x04) !== 0;
  const willQos = (flags >> 3) & 0x03;
  if (willQos > 2) throw malformed('a will of QoS 3 [MQTT-3.1.2-12]');
  if (!hasWill && (flags & 0x38) !== 0) throw malformed('will QoS or retain without a will [MQTT-3.1.2-11]');
  const hasUsername = (flags & 0x80) !== 0;
  const hasPassword = (flags & 0x40) !== 0;
  if (version < 5 && hasPassword && !hasUsername) throw malformed('a password without a user name [MQTT-3.1.2-22]');
  const keepAlive = reader.u16();
  const properties = version === 5 ? readProperties(reader, CONNECT_RULES) : {};
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined)
    throw protocolError('authentication data without a method (section 3.1.2.11.10)');
  const clientId = readClientId(reader, version);
  const cleanStart = (flags & 0x02) !== 0;
  if (clientId === '' && (version === 3 || (version === 4 && !cleanStart)))
    throw new ConnectRefused(
      version,
      REASON.clientIdInvalid,
      2,
      'an empty client id without a clean session [MQTT-3.1.3-8]',
    );
  // in this order on the wire, so in this order here
  const will: Will | undefined = hasWill
    ? {
        // willQos was checked above
        qos: willQos as QoS,
        retain: (flags & 0x20) !== 0,
        properties: version === 5 ? readProperties(reader, WILL_RULES) : {},
        topic: reader.topicName(),
        payload: reader.binary().slice(),
      }
    : undefined;
  const username = hasUsername ? reader.name() : undefined;
  const password = hasPassword ? reader.binary().slice() : undefined;
  reader.done(); // [MQTT-3.1.2-18], [MQTT-3.1.2-20]
  return { type: 'connect', version, cleanStart, keepAlive, clientId, will, username, password, properties };
}

function readVersion(reader: ByteReader): Version {
  const name = reader.string();
  const level = reader.u8();
  if (name !== 'MQTT' && name !== 'MQIsdp') throw malformed('a protocol name other than MQTT [MQTT-3.1.2-1]');
  if (level < 3 || level > 5)
    throw new ConnectRefused(5, REASON.unsupportedVersion, 1, `protocol level ${level} [MQTT-3.1.2-2]`);
  if ((name === 'MQIsdp') !== (level === 3))
    throw new ConnectRefused(4, REASON.unsupportedVersion, 1, `protocol level ${level} of ${name} [MQTT-3.1.2-2]`);
  // between 3 and 5, as checked above
  return level as Version;
}

function readClientId(reader: ByteReader, version: Version): string {
  if (version < 5) return reader.name();
  const at = reader.at;
  try {
    return reader.name();
  } catch (error) {
    const length = ((reader.bytes[at] ?? 0) << 8) + (reader.bytes[at + 1] ?? 0);
    if (reader.end - at < 2 + length) throw error; // cut off, not unfit
    throw new ConnectRefused(5, REASON.clientIdInvalid, 2, 'a client id that is not fit to be one [MQTT-3.1.3-4]');
  }
}

/** MQTT 5 lets a server say what was wrong before it closes. [MQTT-3.1.4-1] */
function withConnack(decode: () => Connect): Connect {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof MqttError) || error instanceof ConnectRefused) throw error;
    throw new ConnectRefused(5, error.reason, 1, error.message);
  }
}

const CONNECT_RULES = {
  packet: 'CONNECT',
  otherwise: REASON.protocolError,
  allowed: new Set<PropertyName>([
    'sessionExpiry',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'user',
    'authenticationMethod',
    'authenticationData',
  ]),
};

const WILL_RULES = {
  packet: 'CONNECT (will)',
  otherwise: REASON.protocolError,
  allowed: new Set<PropertyName>([
    'willDelay',
    'payloadFormat',
    'messageExpiry',
    'contentType',
    'responseTopic',
    'correlationData',
    'user',
  ]),
};
