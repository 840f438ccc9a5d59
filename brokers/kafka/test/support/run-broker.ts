import {
  type Broker,
  type BrokerContext,
  MemoryShare,
  type StorageAdapter,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { openNode } from '../../../../core/test/storage/harness.ts';
import { FakeStorage } from '../../../common/test/fake-storage.ts';
import kafka, { DEFAULT_SETTINGS, type KafkaSettings } from '../../src/index.ts';

export interface RunningBroker<S extends StorageAdapter> {
  readonly broker: Broker;
  readonly storage: S;
  readonly memory: MemoryShare;
  readonly port: number;
  readonly address: string;
}

export function contextFor<S extends StorageAdapter>(
  storage: S,
  settings: Partial<KafkaSettings> = {},
  rest: Partial<BrokerContext<KafkaSettings>> = {},
): BrokerContext<KafkaSettings> {
  return {
    instance: 'kafka',
    config: { ...DEFAULT_SETTINGS, port: 0, ...settings },
    storage,
    node: { id: 1, clusterId: 'test-cluster' },
    authorizer: { authorize: () => true },
    memory: new MemoryShare('in flight', 256 * 1024 * 1024),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    signal: new AbortController().signal,
    ...rest,
  };
}

/** A broker on a free port of the loopback, over the fake storage. */
export function runBroker(
  settings: Partial<KafkaSettings> = {},
  rest: Partial<BrokerContext<KafkaSettings>> = {},
): Promise<RunningBroker<FakeStorage>> {
  return runBrokerOver(new FakeStorage(), settings, rest);
}

export async function runBrokerOver<S extends StorageAdapter>(
  storage: S,
  settings: Partial<KafkaSettings> = {},
  rest: Partial<BrokerContext<KafkaSettings>> = {},
): Promise<RunningBroker<S>> {
  const ctx = contextFor(storage, settings, rest);
  const broker = await kafka.open(ctx);
  const port = broker.listeners()[0]?.port ?? 0;
  return { broker, storage, memory: ctx.memory, port, address: `127.0.0.1:${port}` };
}

/** The storages that client tests run over: the fake, and core's own on the memory engine. */
export const STORAGES: readonly { readonly over: string; open(): Promise<StorageAdapter> }[] = [
  { over: 'the fake storage', open: async () => new FakeStorage() },
  { over: 'core on the memory engine', open: async () => (await openNode()).storage },
];
