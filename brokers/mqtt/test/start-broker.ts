import {
  type Broker,
  type BrokerContext,
  type Clock,
  type Counter,
  MemoryShare,
  type Metrics,
  type StorageAdapter,
  silentLogger,
  systemClock,
  systemRandom,
} from '@robustmq/core';
import { afterEach } from 'vitest';
import { FakeStorage } from '../../common/test/fake-storage.ts';
import mqtt, { type MqttSettings } from '../src/index.ts';
import { settingsSchema } from '../src/settings.ts';

export interface StartedBroker<Storage extends StorageAdapter = FakeStorage> {
  readonly broker: Broker;
  readonly storage: Storage;
  readonly port: number;
  readonly url: string;
  readonly memory: MemoryShare;
  /** By name: what counters and gauges say now. */
  metric(name: string): number;
}

export interface StartOptions {
  readonly memory?: MemoryShare;
  readonly authorize?: BrokerContext['authorizer']['authorize'];
  readonly clock?: Clock;
}

const open: Broker[] = [];

afterEach(async () => {
  for (const broker of open.splice(0)) await broker.close();
});

export async function startBroker(
  settings: Partial<MqttSettings> = {},
  options: StartOptions = {},
): Promise<StartedBroker> {
  return startOn(new FakeStorage(), settings, options);
}

export async function startOn<Storage extends StorageAdapter>(
  storage: Storage,
  settings: Partial<MqttSettings> = {},
  options: StartOptions = {},
): Promise<StartedBroker<Storage>> {
  const read = new Map<string, () => number>();
  const metrics: Metrics = {
    counter: (name) => {
      const counter: Counter = { value: 0 };
      read.set(name, () => counter.value);
      return counter;
    },
    gauge: (name, _, value) => void read.set(name, value),
    histogram: () => ({ observe: () => {} }),
  };
  const memory = options.memory ?? new MemoryShare('inflight', 64 * 1024 * 1024);
  const broker = await mqtt.open({
    instance: 'mqtt',
    config: { ...defaultSettings(), port: 0, ...settings },
    storage,
    node: { id: 1, clusterId: 'test' },
    authorizer: { authorize: options.authorize ?? (() => true) },
    memory,
    clock: options.clock ?? systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics,
    signal: new AbortController().signal,
  });
  open.push(broker);
  const port = broker.listeners()[0]?.port ?? 0;
  return {
    broker,
    storage,
    port,
    url: `mqtt://127.0.0.1:${port}`,
    memory,
    metric: (name) => read.get(name)?.() ?? Number.NaN,
  };
}

function defaultSettings(): MqttSettings {
  const properties = settingsSchema.properties as Record<string, { default: unknown }>;
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, schema.default]),
  ) as unknown as MqttSettings;
}
