/** Kafka's protocol over topics and shards: a broker plug-in. `connection.ts` is the core, `net/` the sockets around it. */
import { BROKER_API_VERSION, type BrokerDefinition, defineBroker } from '@robustmq/core';
import { openKafkaBroker } from './broker.ts';
import { type KafkaSettings, settingsSchema } from './settings.ts';

export { KAFKA_CODES, type KafkaCode, KafkaProtocolError } from './errors.ts';
export { DEFAULT_SETTINGS, type KafkaSettings, settingsSchema } from './settings.ts';

const broker: BrokerDefinition<KafkaSettings> = defineBroker({
  name: 'kafka',
  apiVersion: BROKER_API_VERSION,
  version: '0.1.0',
  configSchema: settingsSchema,
  open: openKafkaBroker,
});

export default broker;
