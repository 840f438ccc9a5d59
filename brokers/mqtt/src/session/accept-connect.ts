import type { Properties } from '../codec/properties.ts';
import { REASON } from '../codec/reason-codes.ts';
import { ConnectRefused } from '../errors.ts';
import type { Connack } from '../packet/connack.ts';
import type { Connect } from '../packet/connect.ts';
import type { SessionLimits } from './session.ts';

/** The CONNACK of a CONNECT that is fine by itself. @throws ConnectRefused */
export function acceptConnect(connect: Connect, clientId: string, limits: SessionLimits): Connack {
  // [MQTT-3.2.2-6]: there is never a session to resume yet
  if (connect.version < 5) return { type: 'connack', sessionPresent: false, code: 0, properties: {} };
  const { will, properties } = connect;
  if (properties.authenticationMethod !== undefined)
    throw new ConnectRefused(
      5,
      REASON.badAuthenticationMethod,
      5,
      'there are no authentication methods yet [MQTT-4.12.0-1]',
    );
  if (will?.qos === 2) throw new ConnectRefused(5, REASON.qosNotSupported, 5, 'a will of QoS 2 [MQTT-3.2.2-12]');
  if (will?.retain === true)
    throw new ConnectRefused(5, REASON.retainNotSupported, 5, 'a retained will [MQTT-3.2.2-13]');
  const answer: Properties = {
    ...(limits.topicAliasMaximum === 0 ? undefined : { topicAliasMaximum: limits.topicAliasMaximum }),
    maximumPacketSize: limits.maxPacketBytes,
    receiveMaximum: limits.receiveMaximum,
    ...((properties.sessionExpiry ?? 0) === 0 ? undefined : { sessionExpiry: 0 }), // not what was asked for [MQTT-3.2.2-21]
    ...(connect.clientId === '' ? { assignedClientId: clientId } : undefined), // [MQTT-3.2.2-16]
    maximumQos: 1,
    retainAvailable: 0,
    sharedAvailable: 0,
  };
  return { type: 'connack', sessionPresent: false, code: REASON.success, properties: answer };
}

/** [MQTT-3.2.2-6]: session present is 0 when the code is not. */
export function refusal(code: number): Connack {
  return { type: 'connack', sessionPresent: false, code, properties: {} };
}
