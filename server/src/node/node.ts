import { mkdir } from 'node:fs/promises';
import {
  type Broker,
  type Clock,
  type EngineInstance,
  isDiskFull,
  type Listener,
  type Logger,
  lockDirectory,
  MemoryShare,
  type Meta,
  nodeFileSystem,
  type OpenEngineInstance,
  openInstance,
  openStorage,
  type Random,
  refuseHalfRestored,
  type Storage,
  StorageError,
  systemClock,
  systemRandom,
  TopicUsage,
} from '@robustmq/core';
import type { Config, ConfiguredBroker, ConfiguredEngine } from '@robustmq/core/config';
import { openLevelMeta } from '@robustmq/meta';
import { AdminServer } from '../admin/server.ts';
import { PrometheusMetrics } from '../metrics/prometheus.ts';
import { VERSION } from '../version.ts';
import { allowAll } from './authorizer.ts';
import { clusterIdOf } from './cluster-id.ts';
import { type DataDirectory, openDataDirectory } from './data-directory.ts';
import { listenError } from './listen-error.ts';
import { type NodeStatus, Readiness } from './readiness.ts';
import { StartSteps } from './start-steps.ts';

export interface NodeWorld {
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Puts something between the node and its Meta: delays and faults in tests. */
  readonly wrapMeta?: (meta: Meta) => Meta;
  /** Aborted when the node should stop although it has not started yet. */
  readonly signal?: AbortSignal;
}

export interface RunningNode {
  readonly config: Config;
  readonly clusterId: string;
  readonly storage: Storage;
  readonly metrics: PrometheusMetrics;
  status(): NodeStatus;
  listeners(): readonly Listener[];
  /** Marks the node as failed: `/readyz` says so from now on. */
  fail(detail: string): void;
  /** Drains and closes, in the reverse of the start order. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Assembles a node: data directory, Generic Server (Admin HTTP), Meta, engines, storage, brokers, in this order. When a step fails, what
 * was opened is closed again.
 */
export async function startNode(config: Config, world: NodeWorld): Promise<RunningNode> {
  const clock = world.clock ?? systemClock;
  const random = world.random ?? systemRandom;
  const { logger } = world;
  const startedAt = clock.monotonic();
  const hurry = new AbortController();
  const metrics = new PrometheusMetrics();
  metrics.addProcessMetrics();
  const readiness = new Readiness();
  const signal = world.signal ?? hurry.signal;
  const giveUp = (): void => hurry.abort();
  signal.addEventListener('abort', giveUp, { once: true });
  const steps = new StartSteps({ clock, logger, signal, onStep: (what) => (readiness.step = what) });
  const closing: Closing[] = [];
  const brokers: Broker[] = [];
  let clusterId: string | undefined;
  let admin: AdminServer | undefined;

  const status = (): NodeStatus => ({
    ...readiness.get(),
    phase: readiness.phase,
    version: VERSION,
    pid: process.pid,
    nodeId: config.node.id,
    clusterId,
    data: config.data,
    uptimeMs: Math.round(clock.monotonic() - startedAt),
    listeners: listeners(),
  });
  const listeners = (): Listener[] => [
    ...brokers.flatMap((broker) => broker.listeners()),
    ...(admin === undefined ? [] : [admin.listener]),
  ];

  try {
    const data = await steps.take(`data directory ${config.data}`, () => openDataDirectory(config.data));
    closing.push({ what: 'data directory', run: () => data.release() });

    const memory = new MemoryShare('requests', config.memory.requestBytes);
    metrics.gauge('robust_memory_used_bytes', 'Bytes that requests hold between socket and engine', () => memory.used);
    metrics.gauge('robust_memory_limit_bytes', 'Most bytes that requests may hold', () => memory.limit);
    metrics.gauge('robust_ready', '1 when the node is ready, as /readyz says', () => (readiness.get().ready ? 1 : 0));

    admin = await openAdmin(config, { readiness, metrics, status, logger, clock, authorizer: allowAll });
    const opened = admin;
    closing.push({ what: 'admin', run: () => opened.close() });

    const level = await steps.take('meta', () => openLevelMeta({ dir: data.metaDir, clock, logger }));
    readiness.meta = level;
    closing.push({ what: 'meta', run: () => level.close() });
    const meta = world.wrapMeta?.(level) ?? level;
    // before an engine finds its part of Meta empty
    await steps.take('meta', () => refuseHalfRestored(meta));
    clusterId = await steps.take('the cluster id in meta', () => clusterIdOf(meta, random));

    const engines = new Map<string, EngineInstance>();
    const usage = new TopicUsage(metrics, () => readiness.storage?.topics() ?? []);
    const common = { clock, random, logger, metrics, meta, signal: hurry.signal };
    for (const engine of config.engines) {
      const instance = await steps.take(`engine ${engine.name}`, () => openEngine(engine, data, common, usage));
      engines.set(engine.name, instance);
      closing.push({ what: `engine ${engine.name}`, run: () => instance.close() });
    }

    const storage = await steps.take('storage', () =>
      openStorage({
        nodeId: config.node.id,
        ...(clusterId === undefined ? {} : { clusterId }),
        meta,
        engines,
        policy: config.policy,
        clock,
        random,
        logger,
        metrics,
        tuning: config.storage,
      }),
    );
    readiness.storage = storage;
    closing.push({ what: 'storage', run: () => storage.close() });
    // what is still in flight after that is given up
    closing.push({ what: 'storage (drain)', run: () => bounded(storage.drain(), () => hurry.abort()) });
    admin.serve(storage);

    const node = { id: config.node.id, clusterId };
    for (const broker of config.brokers) {
      const ctx = { ...common, storage, node, memory, authorizer: allowAll };
      const running = await steps.take(`broker ${broker.name}`, () => openBroker(broker, ctx));
      brokers.push(running);
      closing.push({ what: `broker ${broker.name}`, run: () => running.close() });
    }
    signal.removeEventListener('abort', giveUp);
    readiness.phase = 'running';

    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      if (readiness.phase !== 'failed') readiness.phase = 'draining';
      storage.letGo();
      await bounded(Promise.all(brokers.map((broker) => broker.drain())));
      await closeAll(closing, logger);
    };
    return {
      config,
      clusterId,
      storage,
      metrics,
      status,
      listeners,
      fail: (detail) => readiness.fail(detail),
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    hurry.abort();
    // another plug-in's close may hang as its open did
    await bounded(closeAll(closing, logger));
    throw error;
  }

  /** A drain that never ends must not keep the node from stopping: then connections are cut. */
  function bounded(drained: Promise<unknown>, late: () => void = () => {}): Promise<void> {
    return new Promise((resolve) => {
      const timer = clock.timer(config.node.drainTimeoutMs, () => {
        logger.warn({}, `draining took longer than ${config.node.drainTimeoutMs} ms, going on without`);
        late();
        resolve();
      });
      drained
        .catch((error: unknown) => logger.error({ err: error }, 'draining failed'))
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });
  }
}

interface Closing {
  readonly what: string;
  readonly run: () => Promise<void>;
}

/** In reverse; one that fails doesn't keep the others open. */
async function closeAll(closing: Closing[], logger: Logger): Promise<void> {
  for (let next = closing.pop(); next !== undefined; next = closing.pop()) {
    try {
      await next.run();
    } catch (error) {
      logger.error({ err: error }, `closing ${next.what} failed`);
    }
  }
}

async function openAdmin(config: Config, parts: ConstructorParameters<typeof AdminServer>[0]): Promise<AdminServer> {
  const { host, port } = config.admin;
  const server = new AdminServer(parts);
  try {
    await server.listen(host, port);
    return server;
  } catch (error) {
    await server.close();
    throw listenError(error, { setting: 'admin.port', host, port });
  }
}

async function openEngine(
  engine: ConfiguredEngine,
  data: DataDirectory,
  common: Omit<Parameters<typeof openInstance>[1], 'instance' | 'dir' | 'config' | 'fs' | 'lock' | 'usage'>,
  usage: TopicUsage,
): Promise<OpenEngineInstance> {
  const dir = data.engineDir(engine.name);
  await makeEngineDir(dir);
  return openInstance(engine.definition, {
    ...common,
    instance: engine.name,
    dir,
    config: engine.config,
    fs: nodeFileSystem,
    lock: lockDirectory,
    usage: (report) => usage.add(engine.name, report),
  });
}

async function makeEngineDir(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
  } catch (cause) {
    const full = isDiskFull(cause);
    throw new StorageError(full ? 'DISK_FULL' : 'IO_ERROR', `the directory of the engine can't be made`, {
      where: dir,
      outcome: 'none',
      hint: full ? 'Free space there, then start again' : `The system says: ${(cause as NodeJS.ErrnoException).code}`,
      cause,
    });
  }
}

async function openBroker(
  broker: ConfiguredBroker,
  common: Omit<Parameters<ConfiguredBroker['definition']['open']>[0], 'instance' | 'config'>,
): Promise<Broker> {
  const logger = common.logger.child({ broker: broker.name });
  try {
    return await broker.definition.open({ ...common, logger, instance: broker.name, config: broker.config });
  } catch (error) {
    const { host, port } = broker.config;
    throw listenError(error, { setting: `brokers.${broker.name}.port`, host: String(host), port: Number(port) });
  }
}
