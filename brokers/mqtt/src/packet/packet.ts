import { malformed, protocolError } from '../errors.ts';
import { type Connack, encodeConnack } from './connack.ts';
import { type Connect, decodeConnect, type Version } from './connect.ts';
import { type Disconnect, decodeDisconnect, encodeDisconnect } from './disconnect.ts';
import { decodePingreq, type Pingreq } from './pingreq.ts';
import { encodePingresp, type Pingresp } from './pingresp.ts';
import { decodePuback, encodePuback, type Puback } from './puback.ts';
import { decodePubcomp, encodePubcomp, type Pubcomp } from './pubcomp.ts';
import { decodePublish, encodePublish, type Publish } from './publish.ts';
import { decodePubrec, type Pubrec } from './pubrec.ts';
import { decodePubrel, encodePubrel, type Pubrel } from './pubrel.ts';
import { encodeSuback, type Suback } from './suback.ts';
import { decodeSubscribe, type Subscribe } from './subscribe.ts';
import { encodeUnsuback, type Unsuback } from './unsuback.ts';
import { decodeUnsubscribe, type Unsubscribe } from './unsubscribe.ts';

/** What clients send. */
export type Incoming =
  | Connect
  | Publish
  | Puback
  | Pubrec
  | Pubrel
  | Pubcomp
  | Subscribe
  | Unsubscribe
  | Pingreq
  | Disconnect;

/** What this server sends, a PUBLISH aside. */
export type Control =
  | Connack
  | Puback
  | Pubrel
  | Pubcomp
  | Suback
  | Unsuback
  | Pingresp
  | { readonly type: 'disconnect'; readonly reason: number };

export type Outgoing = Control | Publish;

/** `version`: as the CONNECT said; undefined before it. @throws MqttError, ConnectRefused */
export function decodePacket(firstByte: number, body: Uint8Array, version: Version | undefined): Incoming {
  const type = firstByte >> 4;
  if (version === undefined) {
    if (type !== 1) throw protocolError(`packet type ${type} before a CONNECT [MQTT-3.1.0-1]`);
    return decodeConnect(firstByte, body);
  }
  switch (type) {
    case 1:
      throw protocolError('a second CONNECT [MQTT-3.1.0-2]');
    case 3:
      return decodePublish(firstByte, body, version);
    case 4:
      return decodePuback(firstByte, body, version);
    case 5:
      return decodePubrec(firstByte, body, version);
    case 6:
      return decodePubrel(firstByte, body, version);
    case 7:
      return decodePubcomp(firstByte, body, version);
    case 8:
      return decodeSubscribe(firstByte, body, version);
    case 10:
      return decodeUnsubscribe(firstByte, body, version);
    case 12:
      return decodePingreq(firstByte, body);
    case 14:
      return decodeDisconnect(firstByte, body, version);
    case 15:
      throw protocolError('an AUTH without an authentication method in the CONNECT [MQTT-4.12.0-6]');
    case 9:
    case 11:
    case 13:
      if ((firstByte & 0x0f) !== 0) throw malformed(`flags of packet type ${type} that are not 0 [MQTT-2.1.3-1]`);
  }
  throw protocolError(`packet type ${type} is sent by servers only (section 2.1.2)`);
}

export function encodePacket(packet: Outgoing, version: Version): readonly Uint8Array[] {
  return packet.type === 'publish' ? encodePublish(packet, version) : [encodeControl(packet, version)];
}

function encodeControl(packet: Control, version: Version): Buffer {
  switch (packet.type) {
    case 'connack':
      return encodeConnack(packet, version);
    case 'puback':
      return encodePuback(packet, version);
    case 'pubrel':
      return encodePubrel(packet, version);
    case 'pubcomp':
      return encodePubcomp(packet, version);
    case 'suback':
      return encodeSuback(packet, version);
    case 'unsuback':
      return encodeUnsuback(packet, version);
    case 'pingresp':
      return encodePingresp();
    case 'disconnect':
      return encodeDisconnect(packet.reason);
  }
}
