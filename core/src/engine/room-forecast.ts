import type { EngineForecast, ForecastLoad } from '../engine.ts';

const GB = 1e9;

/** What a load will cost on an engine that pays for room and for no request. `perGbMonth` is the price of 1 GB for a month. */
export function roomForecast(storedBytes: number, perGbMonth: number): EngineForecast {
  return {
    putsPerHour: 0,
    getsPerHour: 0,
    storedBytes,
    requestsPerMonth: 0,
    storagePerMonth: (storedBytes / GB) * perGbMonth,
    isThrottled: false,
  };
}

/** What a load keeps, once its retention is reached. */
export function keptBytes({
  bytesPerSecond,
  retentionMs,
}: Pick<ForecastLoad, 'bytesPerSecond' | 'retentionMs'>): number {
  return (bytesPerSecond * retentionMs) / 1000;
}
