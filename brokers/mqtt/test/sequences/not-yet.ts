/**
 * Sequences about what this floor refuses, each with the reason. Everything else must pass, and these must not: the test says so when one does, so
 * that the list can only get shorter.
 */
export const NOT_YET: Readonly<Record<string, string>> = {
  'v5.0 CONNECT ALLOWED PROPERTIES session-expiry-interval (four byte integer)':
    'sessions that outlive their connection: the CONNACK says expiry 0',
  'v3.1.1 FLOW QoS 2 receive ok': 'QoS 2',
  'v3.1.1 FLOW QoS 2 PUBLISH-PUBACK': 'QoS 2',
  'v3.1.1 FLOW QoS 2 PUBLISH-PUBCOMP': 'QoS 2',
  'v3.1.1 FLOW QoS 2 PUBLISH-PUBREC-PUBREL-PUBREC': 'QoS 2',
  'v3.1.1 SUBSCRIBE 82 single ok QoS 2 [MQTT-3.8.4-1]': 'QoS 2',
  'v5.0 FLOW QoS 2 receive ok': 'QoS 2',
  'v5.0 FLOW QoS 2 PUBLISH-PUBACK': 'QoS 2',
  'v5.0 SUBSCRIBE 82 single ok QoS 2 [MQTT-3.8.4-1]': 'QoS 2',
  'v5.0 SUBSCRIBE 82 single ok QoS 2 [MQTT-3.8.4-1] #2': 'QoS 2',
  'v5.0 FLOW QoS 2 PUBLISH-PUBREC-PUBREL(3)-PUBCOMP': 'QoS 2',
  'v5.0 FLOW QoS 2 PUBLISH-PUBREC-PUBREL(5)-PUBCOMP': 'QoS 2',
  'v5.0 OTHER subpub retain as normal qos2': 'QoS 2',
  'v3.1.1 OTHER subpub self publish qos2': 'QoS 2',
  'v5.0 OTHER subpub self publish qos2': 'QoS 2',
  'v5.0 OTHER subpub qos2 pubrec error': 'QoS 2',
  'v5.0 OTHER subpub retain as normal qos0': 'retained messages',
  'v5.0 OTHER subpub retain as normal qos1': 'retained messages',
  'v5.0 OTHER subpub retain as publish qos0': 'retained messages',
  'v3.1.1 PUBLISH 34 QoS 2 Dup 0': 'QoS 2',
  'v3.1.1 PUBLISH 3C QoS 2 Dup 1': 'QoS 2',
  'v3.1.1 PUBLISH 34 QoS 2 Dup flow*3': 'QoS 2',
  "v3.1.1 PUBLISH 34 QoS 2 repeated with/without 'payload'": 'QoS 2',
  'v3.1.1 PUBLISH PUBLISH with $ topic': 'QoS 2',
  'v5.0 PUBLISH 31 retain 1': 'retained messages',
  'v5.0 PUBLISH 31 retain 1 zero length': 'retained messages',
  'v5.0 PUBLISH 34 QoS 2 Dup 0': 'QoS 2',
  'v5.0 PUBLISH 34 QoS 2 Dup flow*3': 'QoS 2',
  'v5.0 PUBLISH PUBLISH with $ topic - uptime': 'QoS 2',
  'v5.0 PUBLISH PUBLISH with $ topic - connection': 'QoS 2',
  'v5.0 PUBLISH PUBLISH with $ topic - share': 'QoS 2',
  'v5.0 PUBLISH PUBLISH with $ topic - connection/state': 'QoS 2',
  'v5.0 PUBLISH ALLOWED PROPERTIES maximum packet size':
    'QoS 2, retained messages, shared subscriptions: to say that they are missing takes a CONNACK of more than the 20 bytes this client takes',
  'v3.1.1 SUBSCRIBE 82 $share ok': 'shared subscriptions',
  'v5.0 SUBSCRIBE 82 $share ok': 'shared subscriptions',
};
