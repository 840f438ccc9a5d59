/**
 * What a load will cost, before it is there: the requests of one hour, made by the same rules that the engine follows. Write-ahead objects by `pace.ts` and the budget, in a
 * made-up hour; images by the sizes of `images.ts` and `compaction.ts`; prices by `meter.ts`. A forecast, not a promise: retries, failovers and readers come on top.
 */
import { type Clock, type EngineForecast, type ForecastLoad, keptBytes, roomForecast } from '@robustmq/core';
import { SHARE_AFTER_MS, SHARE_BYTES } from './compaction.ts';
import { SMALL_IMAGE_BYTES } from './images.ts';
import { flushDelay } from './log/pace.ts';
import { MAX_RUNS } from './segment/writer.ts';
import type { ObjectSettings } from './settings.ts';
import { RequestBudget } from './store/budget.ts';
import { priceOf } from './store/meter.ts';

const HOUR_MS = 3_600_000;
const MONTH_HOURS = 730;
/** What a PUT of a write-ahead object takes: enough for a forecast, since eight are on their way at once. */
const UPLOAD_MS = 100;
/** Of what is archived core reads the end and the state before it lets go of its own copy. */
const READ_BACK = 2;
/** Core joins small neighbours when there are four, one of which is what it joined before. */
const MERGED_AT_ONCE = 3;
/** Smaller than this share of the topic's segment size a segment is joined with its neighbours. */
const MERGE_BELOW = 1 / 4;

export function forecast(settings: ObjectSettings, load: ForecastLoad): EngineForecast {
  const log = load.archived ? NO_LOG : logOfAnHour(settings, load);
  const images = imagesOfAnHour(settings, load, log.intervalMs);
  const { putsPerHour: mostPuts = Number.POSITIVE_INFINITY, getsPerHour: mostGets = Number.POSITIVE_INFINITY } =
    settings.requestBudget;
  // the budget is each node's own, and never exceeded: what it does not allow waits
  const putsPerNode = log.puts + images.puts + (load.archived ? manifestsPerHour(load) / load.nodes : 0);
  const putsPerHour = Math.min(putsPerNode, mostPuts) * load.nodes;
  const getsPerHour = Math.min(images.gets, mostGets) * load.nodes;
  const { prices } = settings;
  const requests = putsPerHour * priceOf('PUT', prices) + getsPerHour * priceOf('GET', prices);
  return {
    ...roomForecast(keptBytes(load), prices.perGbMonth),
    putsPerHour: Math.round(putsPerHour),
    getsPerHour: Math.round(getsPerHour),
    requestsPerMonth: requests * MONTH_HOURS,
    isThrottled: log.isThrottled || putsPerNode > mostPuts || images.gets > mostGets,
  };
}

const NO_LOG = { puts: 0, intervalMs: 0, isThrottled: false };

/** One node's write-ahead objects in an hour of virtual time. */
function logOfAnHour(settings: ObjectSettings, load: ForecastLoad): typeof NO_LOG {
  const bytesPerMs = load.bytesPerSecond / load.nodes / 1000;
  if (bytesPerMs === 0) return NO_LOG;
  const clock = new StandingClock();
  const budget = new RequestBudget(settings.requestBudget, clock);
  // records arrive evenly, one by one or, when there are many, a few milliseconds' worth at once
  const stepMs = Math.max(1, load.recordBytes / bytesPerMs);
  const uploads: { readonly until: number; readonly bytes: number }[] = [];
  let [puts, bufferedBytes, bufferedSince, isThrottled] = [0, 0, 0, false];
  let lastFlush = Number.NEGATIVE_INFINITY;
  const flushIfDue = (until: number): void => {
    for (;;) {
      while (uploads[0] !== undefined && uploads[0].until <= clock.now) uploads.shift();
      const state = { bufferedBytes, bufferedSince, lastFlush, uploading: uploads.length };
      const delay = flushDelay(settings, { ...state, budgetDelayMs: budget.delayMs('put') }, clock.now);
      const at = delay === undefined ? uploads[0]?.until : clock.now + delay;
      if (at === undefined || at > until) return;
      clock.now = Math.max(at, clock.now);
      if (delay === undefined || budget.delayMs('put') > 0) continue;
      void budget.take('put', 'hot');
      puts++;
      lastFlush = clock.now;
      uploads.push({ until: clock.now + UPLOAD_MS, bytes: bufferedBytes });
      bufferedBytes = 0;
    }
  };
  for (let at = 0; at < HOUR_MS; at += stepMs) {
    flushIfDue(at);
    clock.now = at;
    const arriving = bytesPerMs * stepMs;
    const onTheWay = uploads.reduce((sum, { bytes }) => sum + bytes, 0);
    if (bufferedBytes + onTheWay + arriving > settings.windowBytes) {
      // they wait, and what does not arrive is not put
      isThrottled = true;
      continue;
    }
    if (bufferedBytes === 0) bufferedSince = at;
    bufferedBytes += arriving;
  }
  return { puts, intervalMs: puts === 0 ? HOUR_MS : HOUR_MS / puts, isThrottled };
}

/** One node's images in an hour: of what was written here, or of what comes from another engine. */
function imagesOfAnHour(
  settings: ObjectSettings,
  load: ForecastLoad,
  flushMs: number,
): { readonly puts: number; readonly gets: number } {
  const bytesPerHour = (load.bytesPerSecond / load.nodes) * 3600;
  const shards = load.topics / load.nodes;
  if (bytesPerHour === 0 || shards === 0) return { puts: 0, gets: 0 };
  const perShard = bytesPerHour / shards;
  // a segment ends by size, by age, or when it has its share of runs
  const byAge = (perShard * load.segmentMs) / HOUR_MS;
  const byRuns = load.archived
    ? Number.POSITIVE_INFINITY
    : (perShard * MAX_RUNS * Math.max(flushMs, recordMs(load))) / HOUR_MS;
  const segment = Math.min(load.segmentBytes, byAge, byRuns);
  const segments = bytesPerHour / segment;
  if (segment >= SMALL_IMAGE_BYTES) {
    const reads = load.archived ? segments * READ_BACK : readsOf(settings, bytesPerHour, segment);
    const merges = load.archived || segment >= load.segmentBytes * MERGE_BELOW ? 0 : segments / MERGED_AT_ONCE;
    return { puts: segments * putsOf(segment, settings) + merges, gets: reads + merges };
  }
  // what is archived at the same moment may share an object, which is cheaper; what is compacted waits for company
  const together = load.archived
    ? segment
    : Math.max(segment, Math.min(SHARE_BYTES, (bytesPerHour * SHARE_AFTER_MS) / HOUR_MS));
  const merges = load.archived ? 0 : segments / MERGED_AT_ONCE;
  return { puts: bytesPerHour / together + merges, gets: load.archived ? segments * READ_BACK : merges };
}

/** Puts of one image: alone, or in parts with a beginning and an end. */
function putsOf(bytes: number, { partBytes }: ObjectSettings): number {
  return bytes <= partBytes ? 1 : Math.ceil(bytes / partBytes) + 2;
}

/** What is compacted soon after it was written is still in memory. */
function readsOf({ cacheBytes, pieceBytes }: ObjectSettings, bytesPerHour: number, segment: number): number {
  return segment <= cacheBytes / 2 ? 0 : bytesPerHour / pieceBytes;
}

function recordMs({ bytesPerSecond, topics, recordBytes }: ForecastLoad): number {
  return (recordBytes * topics * 1000) / bytesPerSecond;
}

function manifestsPerHour({ manifestIntervalMs }: ForecastLoad): number {
  return HOUR_MS / manifestIntervalMs;
}

/** Time that goes on when it is told to; nothing here waits. */
class StandingClock implements Clock {
  now = 0;

  monotonic(): number {
    return this.now;
  }

  wall(): number {
    return this.now;
  }

  timer(): { cancel(): void } {
    return { cancel: () => {} };
  }
}
