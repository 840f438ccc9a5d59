import type { EngineContext, EngineDefinition, StorageEngine } from '../engine.ts';
import { ENGINE_API_VERSION } from '../engine.ts';
import { isStorageError, StorageError } from '../errors.ts';
import { lockDirectory } from '../fs/directory-lock.ts';
import { isServed } from '../plugin/api-version.ts';
import type { EngineInstance } from '../storage-options.ts';
import { guardEngine } from './guard.ts';
import { HealthBoard } from './health-board.ts';
import { confirmIncarnation } from './incarnation.ts';
import { metaOfInstance } from './scoped-meta.ts';

export interface OpenInstanceOptions extends Omit<EngineContext, 'health' | 'lock' | 'node' | 'usage'> {
  /** 1 by default. */
  readonly node?: number;
  /** Nobody counts by default. */
  readonly usage?: EngineContext['usage'];
  /** The whole of it: the engine gets its own part only. */
  readonly meta: EngineContext['meta'];
  /** The real one by default. */
  readonly lock?: EngineContext['lock'];
}

export interface OpenEngineInstance extends EngineInstance {
  close(): Promise<void>;
}

const MIN_BATCH_BYTES = 1024 * 1024;

/**
 * Opens one configured engine: checks its contract version and claims, gives it its world, wraps it, and makes sure that it found the
 * medium that Meta knows under this name.
 * @throws NOT_SUPPORTED, INSTANCE_CHANGED, DIRECTORY_LOCKED, and what the engine throws
 */
export async function openInstance(
  definition: EngineDefinition,
  options: OpenInstanceOptions,
): Promise<OpenEngineInstance> {
  checkDefinition(definition);
  const { instance, clock, metrics, meta, random, logger } = options;
  const health = new HealthBoard(clock, (report) => {
    logger[report.status === 'ok' ? 'info' : 'warn']({ engine: instance, ...report }, 'engine health');
  });
  const ctx: EngineContext = {
    ...options,
    node: options.node ?? 1,
    usage: options.usage ?? (() => {}),
    lock: options.lock ?? lockDirectory,
    logger: logger.child({ engine: instance }),
    meta: metaOfInstance(meta, instance),
    health: (report) => health.report(report),
  };
  let engine: StorageEngine | undefined;
  try {
    engine = guardEngine(await open(definition, ctx), definition, { instance, clock, metrics });
    await confirmIncarnation(meta, instance, definition, engine.incarnation, random);
  } catch (error) {
    health.close();
    await engine?.close().catch(() => {});
    throw error;
  }
  const opened = engine;
  return {
    name: instance,
    definition,
    capabilities: definition.capabilities,
    engine: opened,
    get health() {
      return health.last;
    },
    onHealth: (listener) => health.listen(listener),
    close: async () => {
      health.close();
      await opened.close();
    },
  };
}

/** True when this core can use an engine that was written for contract `asked`. */
export function servesApiVersion(asked: number): boolean {
  return isServed(asked, ENGINE_API_VERSION);
}

function checkDefinition(definition: EngineDefinition): void {
  const { name, apiVersion, capabilities } = definition;
  if (!servesApiVersion(apiVersion))
    throw new StorageError('NOT_SUPPORTED', `Engine ${name} was written for contract ${apiVersion}`, {
      hint: `This core serves contract ${ENGINE_API_VERSION}: install a version of the engine made for it`,
    });
  if (!Number.isSafeInteger(capabilities.maxBatchBytes) || capabilities.maxBatchBytes < MIN_BATCH_BYTES)
    throw new StorageError('NOT_SUPPORTED', `Engine ${name} takes batches of ${capabilities.maxBatchBytes} bytes`, {
      hint: `Every engine takes at least ${MIN_BATCH_BYTES} bytes`,
    });
}

async function open(definition: EngineDefinition, ctx: EngineContext): Promise<StorageEngine> {
  const where = `engine instance ${ctx.instance}`;
  let engine: StorageEngine;
  try {
    engine = await definition.open(ctx);
  } catch (error) {
    if (isStorageError(error)) throw error;
    throw new StorageError('IO_ERROR', `Engine ${definition.name} did not open`, {
      where,
      outcome: 'none',
      cause: error,
      hint: error instanceof Error ? `It said: ${error.message}` : `It threw ${String(error)}`,
    });
  }
  if (typeof engine?.incarnation === 'string' && engine.incarnation !== '') return engine;
  try {
    await engine?.close();
  } catch {
    // what is wrong with it is said below
  }
  throw new StorageError('IO_ERROR', `Engine ${definition.name} opened without an incarnation`, { where });
}
