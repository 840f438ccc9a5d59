import type { EngineContext, StorageEngine } from '@robustmq/core';
import type { ObjectBackend } from './backend.ts';
import { Compaction } from './compaction.ts';
import { ObjectEngine } from './engine.ts';
import type { Environment } from './environment.ts';
import { HealthBoard } from './health-board.ts';
import { openImage } from './image/image-reader.ts';
import { IndexCache } from './image/index-cache.ts';
import { Images, planObject } from './images.ts';
import { logObject, ObjectNames, probeObjects, sharedObject, workFolder } from './keys.ts';
import { GrowingFile } from './log/growing-file.ts';
import { LogFile, LogObjects } from './log/log-target.ts';
import { LogWriter } from './log/log-writer.ts';
import { Window } from './log/window.ts';
import { clusterOf, Medium } from './medium.ts';
import { beginLife, type Life } from './meta/life.ts';
import { SteadyMeta } from './meta/steady-meta.ts';
import { ObjectTable } from './objects.ts';
import { appendedKey, readsOf } from './read/appended.ts';
import { Pieces } from './read/pieces.ts';
import { joinViews } from './read/run.ts';
import { Segments } from './segment/segments.ts';
import type { ObjectSettings } from './settings.ts';
import { RequestBudget } from './store/budget.ts';
import { Meter } from './store/meter.ts';
import { isFileStore, type ObjectStore, StoreError } from './store/port.ts';
import { PROBE_REQUESTS, probeConditionalCreates } from './store/probe.ts';
import { steadyStore } from './store/steady.ts';
import { Sweeper } from './sweeper.ts';

/** A part of the cache's memory is for indexes of images. */
const INDEX_SHARE = 1 / 8;

/** Opens an instance on a store. */
export async function openObjects(ctx: EngineContext<ObjectSettings>, backend: ObjectBackend): Promise<StorageEngine> {
  const { config: settings, clock, random, logger, metrics, instance } = ctx;
  const budget = new RequestBudget(settings.requestBudget, clock);
  const meter = new Meter(instance, metrics, settings.prices, (report) => ctx.usage(report));
  const health = new HealthBoard((report) => ctx.health(report));
  let isConditional = backend.creates === 'atomic';
  /** Known once a life has begun: nothing is put before. */
  let probes: readonly string[] = [];
  let checks = 0;
  let doubt = (_object: string): void => {};
  const store = steadyStore({
    store: backend.store,
    settings,
    hints: backend.hints,
    budget,
    meter,
    clock,
    random,
    isConditional: () => isConditional,
    checkKey: () => {
      const object = probes[checks++ % probes.length] ?? '';
      doubt(object);
      return keyOf(object);
    },
    health: (report) => health.tell('store', report),
  });
  const meta = new SteadyMeta(ctx.meta, clock);
  const giveUp = (): void => {
    meta.close();
    void store.close();
  };
  ctx.signal.addEventListener('abort', giveUp, { once: true });
  let keyOf = (object: string): string => object;
  try {
    const cluster = await clusterOf(meta, random);
    const names = new ObjectNames(settings.prefix, cluster);
    keyOf = (object) => names.keyOf(object);
    const life = await beginLife({ meta, node: ctx.node, random, clock });
    const objects = new ObjectTable();
    probes = probeObjects(life.name, life.uid);
    doubt = (object) => objects.doubtful(object, clock.monotonic() + settings.orphanGraceMs);
    if (isFileStore(backend.store)) backend.store.workIn(names.keyOf(workFolder(life.name, life.uid)));
    const growing = (limitBytes: number, next: () => Promise<{ object: string; number: number }>): GrowingFile =>
      new GrowingFile({
        store,
        clock,
        random,
        limitBytes,
        patienceMs: settings.patienceMs,
        keyOf,
        next,
        opened: (object) => objects.opened(object),
        closed: (object) => objects.closed(object),
        pin: (object) => objects.pin(object),
        doubt,
      });
    const medium = new Medium({
      meta,
      store,
      names,
      clock,
      random,
      place: backend.place,
      patienceMs: settings.patienceMs,
      troubled: (error) => health.tell('medium', error),
      // once the store is there, and before anything is put
      prepare: async () => {
        for (const object of probes) doubt(object);
        if (backend.creates === 'probed')
          isConditional = await probe(backend.store, { budget, meter, keys: probes.map(keyOf) });
        logger.info({ conditionalCreates: isConditional }, 'the store has been probed');
      },
    });
    await medium.open();
    const reads = readsOf(store);
    const pieces = new Pieces(reads, {
      clock,
      pieceBytes: settings.pieceBytes,
      cacheBytes: Math.floor(settings.cacheBytes * (1 - INDEX_SHARE)),
    });
    const indexes = new IndexCache(reads, pieces, { limitBytes: Math.floor(settings.cacheBytes * INDEX_SHARE) });
    const { fileBytes } = backend;
    const files =
      fileBytes === undefined
        ? undefined
        : { fileBytes, pack: growing(fileBytes, async () => await nextPack({ meta, life, random })) };
    const logFile = fileBytes === undefined ? undefined : growing(fileBytes, async () => await nextLog(life));
    const environment: Environment = {
      files,
      names,
      store,
      meta,
      life,
      objects,
      clock,
      random,
      logger,
      blockBytes: settings.blockBytes,
      partBytes: settings.partBytes,
      readRuns:
        (segment) =>
        async ({ name, bytes: objectBytes, from }, at, bytes) =>
          joinViews(
            await pieces.range({ key: appendedKey(names.keyOf(name), from), objectBytes }, at, bytes, {
              for: [{ segment, share: 1 }],
              lane: 'hot',
            }),
          ),
      openImage: (segment, { uid, base, end }, place) =>
        openImage(
          pieces,
          {
            key: appendedKey(names.keyOf(place.object), place.from),
            at: place.at,
            bytes: place.bytes,
            objectBytes: place.objectBytes,
          },
          {
            indexes,
            // an object of another segment in this one's place is not taken for it
            expect: { uid: uid.replaceAll('-', ''), base, end },
            readAheadPieces: settings.readAheadPieces,
            for: [{ segment, share: 1 }],
            lane: 'cold',
          },
        ),
      doubt,
      strayed: (object) => objects.strayed(object, clock.monotonic() + settings.orphanGraceMs),
      forget: (object) => pieces.drop(names.keyOf(object)),
    };
    const keep = (key: string, body: Uint8Array): void => pieces.put(key, [body]);
    const target =
      logFile === undefined
        ? new LogObjects({ life, names, keep, store, random, doubt, strayed: environment.strayed })
        : new LogFile({ life, names, keep, file: logFile });
    const segments = new Segments(environment);
    const images = new Images(environment);
    const compaction = new Compaction(environment, segments, images);
    const window = new Window(settings.windowBytes);
    const engine: ObjectEngine = new ObjectEngine({
      incarnation: cluster,
      environment,
      segments,
      images,
      compaction,
      window,
      medium,
      growing: [files?.pack, logFile].filter((file) => file !== undefined),
      sweeper: new Sweeper(environment, compaction, settings.orphanGraceMs),
      log: new LogWriter({
        target,
        meta,
        life,
        clock,
        random,
        pace: settings,
        budgetDelayMs: () => budget.delayMs('put'),
        stored: (object, uids) => objects.stored(object, uids),
        fenced: (error) => health.tell('life', error),
      }),
    });
    watch(ctx, { window, objects, compaction, budget, pieces, isConditional: () => isConditional });
    return engine;
  } catch (error) {
    meta.close();
    await store.close();
    throw error;
  }
}

async function nextPack(
  environment: Pick<Environment, 'meta' | 'life' | 'random'>,
): Promise<{ object: string; number: number }> {
  const object = sharedObject(environment.life.name, environment.random.uuid());
  await planObject(environment, object, { kind: 'segment', state: 'planned' });
  return { object, number: 0 };
}

async function nextLog(life: Life): Promise<{ object: string; number: number }> {
  const number = await life.number();
  return { object: logObject(life.name, life.uid, number), number };
}

async function probe(
  store: ObjectStore,
  options: {
    readonly budget: RequestBudget;
    readonly meter: Meter;
    readonly keys: readonly string[];
  },
): Promise<boolean> {
  const { budget, meter, keys } = options;
  // a tight budget is better spent on data, and a start waits for none: tries that failed may have spent what it has
  if (budget.burst('put') < 4 * PROBE_REQUESTS || budget.left('put') < PROBE_REQUESTS) return false;
  for (let request = 0; request < PROBE_REQUESTS; request++) {
    await budget.take('put', 'hot');
    meter.count('PUT', { result: 'ok', seconds: 0, bytesOut: 1, bytesIn: 0 });
  }
  try {
    return await probeConditionalCreates(store, keys);
  } catch (error) {
    // nothing is known: what needs the store for good finds that out by itself
    if (error instanceof StoreError) return false;
    throw error;
  }
}

function watch(
  { metrics, instance }: EngineContext,
  parts: {
    readonly window: Window;
    readonly objects: ObjectTable;
    readonly compaction: Compaction;
    readonly budget: RequestBudget;
    readonly pieces: Pieces;
    readonly isConditional: () => boolean;
  },
): void {
  const { window, objects, compaction, budget, pieces, isConditional } = parts;
  const labels = { instance };
  const finite = (value: number): number => (Number.isFinite(value) ? value : -1);
  metrics.gauge(
    'robust_objects_conditional_creates',
    '1 when the probe at the start found that the store creates an object only where there is none, also in a race',
    () => (isConditional() ? 1 : 0),
    labels,
  );
  metrics.gauge('robust_objects_window_bytes', 'Bytes of appends that are not durable yet', () => window.used, labels);
  metrics.gauge('robust_objects_garbage_objects', 'Objects that wait to be deleted', () => objects.garbage, labels);
  metrics.gauge(
    'robust_objects_uncompacted_segments',
    'Sealed segments that still lie in write-ahead objects',
    () => compaction.waiting,
    labels,
  );
  metrics.gauge(
    'robust_objects_cache_bytes',
    'Bytes of objects that are kept in memory',
    () => pieces.stats().bytes,
    labels,
  );
  metrics.gauge(
    'robust_objects_budget_puts_left',
    'PUT, POST and LIST requests that the budget allows at once; -1: no budget',
    () => finite(budget.left('put')),
    labels,
  );
  metrics.gauge(
    'robust_objects_budget_gets_left',
    'GET and HEAD requests that the budget allows at once; -1: no budget',
    () => finite(budget.left('get')),
    labels,
  );
}
