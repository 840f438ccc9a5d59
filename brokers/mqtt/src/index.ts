/** MQTT 3.1, 3.1.1 and 5 over the shards of a node. */
import { BROKER_API_VERSION, type BrokerDefinition, defineBroker } from '@robustmq/core';
import { MqttBroker } from './broker.ts';
import { type MqttSettings, settingsSchema } from './settings.ts';

export type { MqttSettings } from './settings.ts';

const mqtt: BrokerDefinition<MqttSettings> = defineBroker<MqttSettings>({
  name: 'mqtt',
  apiVersion: BROKER_API_VERSION,
  version: '0.1.0',
  configSchema: settingsSchema,
  open: (ctx) => MqttBroker.open(ctx),
});

export default mqtt;
