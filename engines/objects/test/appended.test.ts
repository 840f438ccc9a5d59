import { expect, test } from 'vitest';
import { appendedKey, isAppended, readsOf } from '../src/read/appended.ts';
import type { SteadyStore } from '../src/store/steady-store.ts';

const asked: string[] = [];
const reads = readsOf({
  getRange: async (key, at, bytes) => {
    asked.push(`${key} ${at} ${bytes}`);
    return new Uint8Array(bytes);
  },
} as SteadyStore); // nothing else of it is asked for

test.each(['c/log/1', 'team#1/c/log/1', '#/c/log/1', 'a#12'])(
  'what was appended to a file is read behind what lies before it: below %s',
  async (file) => {
    const key = appendedKey(`${file}/0`, 300);
    expect(isAppended(key)).toBe(true);
    await reads.getRange(key, 20, 5);
    expect(asked.splice(0)).toEqual([`${file}/0 320 5`]);
  },
);

test.each(['c/log/1', 'team#1/c/log/1', '#7/c/log/1'])(
  'an object is read as it is, also below a prefix with #: %s',
  async (key) => {
    expect(appendedKey(key, undefined)).toBe(key);
    expect(isAppended(key)).toBe(false);
    await reads.getRange(key, 20, 5);
    expect(asked.splice(0)).toEqual([`${key} 20 5`]);
  },
);
