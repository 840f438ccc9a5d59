import type { ForecastLoad } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import { forecast } from '../src/forecast.ts';
import { settingsOf } from './support/settings.ts';

const LOAD: ForecastLoad = {
  nodes: 1,
  topics: 1,
  bytesPerSecond: 1024,
  recordBytes: 1024,
  segmentBytes: 128 * 1024 * 1024,
  segmentMs: 86_400_000,
  retentionMs: 30 * 86_400_000,
  archived: false,
  manifestIntervalMs: 60_000,
};

describe('The forecast of costs', () => {
  it('puts an object for each record of a trickle', () => {
    const { putsPerHour } = forecast(settingsOf(), LOAD);
    // and a few images
    expect(putsPerHour).toBeGreaterThanOrEqual(3600);
    expect(putsPerHour).toBeLessThan(3620);
  });

  it('puts one every flushIntervalMs when there is more, and one every flushBytes when there is much more', () => {
    const busy = forecast(settingsOf(), { ...LOAD, bytesPerSecond: 1024 * 1024 });
    expect(busy.putsPerHour).toBeGreaterThan(4 * 3600 * 0.98);
    const full = forecast(settingsOf(), { ...LOAD, bytesPerSecond: 64 * 1024 * 1024 });
    expect(full.putsPerHour).toBeGreaterThan(8 * 3600 * 0.98);
  });

  it('never exceeds a budget, and says when it is not enough', () => {
    for (const bytesPerSecond of [1024, 1024 * 1024, 100 * 1024 * 1024])
      for (const putsPerHour of [60, 600, 3600]) {
        const { putsPerHour: puts, isThrottled } = forecast(settingsOf({ requestBudget: { putsPerHour } }), {
          ...LOAD,
          nodes: 3,
          bytesPerSecond,
        });
        expect(puts).toBeLessThanOrEqual(3 * putsPerHour);
        if (bytesPerSecond > 50 * 1024 * 1024) expect(isThrottled).toBe(true);
      }
  });

  it('is far cheaper for what is archived, and nothing for no load', () => {
    const written = forecast(settingsOf(), { ...LOAD, bytesPerSecond: 2 * 1024 * 1024 });
    const archived = forecast(settingsOf(), { ...LOAD, bytesPerSecond: 2 * 1024 * 1024, archived: true });
    expect(archived.putsPerHour).toBeLessThan(written.putsPerHour / 10);
    expect(archived.storagePerMonth).toBe(written.storagePerMonth);
    expect(forecast(settingsOf(), { ...LOAD, bytesPerSecond: 0 })).toMatchObject({
      putsPerHour: 0,
      requestsPerMonth: 0,
    });
  });

  it('costs what the prices say', () => {
    const load = { ...LOAD, bytesPerSecond: 1024 * 1024 };
    const { putsPerHour, getsPerHour, requestsPerMonth } = forecast(settingsOf(), load);
    expect(requestsPerMonth).toBeCloseTo(730 * ((putsPerHour * 0.005 + getsPerHour * 0.0004) / 1000), 0);
  });
});
