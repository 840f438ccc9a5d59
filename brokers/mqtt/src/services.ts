import type { DeadlineSweep, LiveFeed } from '@robustmq/broker-common';
import type { Clock, Counter, Logger, MemoryShare } from '@robustmq/core';
import type { Connection } from './connection.ts';
import type { Publishing } from './publishing.ts';
import type { MqttSettings } from './settings.ts';

/** What a connection needs of the broker it belongs to. */
export interface MqttServices {
  readonly settings: MqttSettings;
  readonly clock: Clock;
  readonly memory: MemoryShare;
  readonly logger: Logger;
  readonly feed: LiveFeed;
  readonly publishing: Publishing;
  readonly sweep: DeadlineSweep;
  readonly received: Counter;
  readonly sent: Counter;
  /** Disconnects the connection that has this client id now, if there is one [MQTT-3.1.4-3]. */
  attach(clientId: string, connection: Connection): void;
  detach(clientId: string, connection: Connection): void;
  authorize(operation: 'connect' | 'read' | 'write', name: string): boolean;
  newClientId(): string;
  closed(connection: Connection): void;
}
