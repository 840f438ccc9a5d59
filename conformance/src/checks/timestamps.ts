import assert from 'node:assert/strict';
import { batch, NOON } from '../batches.ts';
import type { Check } from '../check.ts';
import { askOf, open } from './segments.ts';

export const timestampChecks: readonly Check[] = [
  {
    id: 'SHARD-080',
    level: 'MUST',
    area: 'timestamps',
    subject: 'log',
    promise: 'find the first record at or after a time, also when times are out of order or the same',
    why: "Times come from the clients' clocks. An index that believes them to be sorted skips records, and a replay misses them.",
    async run({ log }) {
      const times = [5, 3, 9, 9, 1, 20, 15, 20, 40, 2].map((ms) => NOON + ms);
      for (const time of times) await log.append([batch({ timestamps: [time] })]);
      for (let ms = 0; ms <= 41; ms++) {
        const expected = times.findIndex((time) => time >= NOON + ms);
        const found = await log.offsetForTimestamp(NOON + ms);
        assert.equal(found, expected === -1 ? undefined : expected, `at or after ${ms}`);
      }
    },
  },
  {
    id: 'SHARD-081',
    level: 'MUST',
    area: 'timestamps',
    subject: 'engine',
    promise: 'give the first batch for a time before all, none for one after all, and none in an empty segment',
    why: 'Those are the two questions that consumers ask most: from the beginning, and from now.',
    async run(trial) {
      const { capabilities } = trial.definition;
      if (capabilities.append) {
        const empty = await open(trial.engine, { id: 's-0', base: 5 });
        assert.equal(await empty.offsetForTimestamp(0), undefined);
      }
      const made = [
        batch({ base: 5, records: 3, timestamps: [NOON, NOON + 10, NOON + 5] }),
        batch({ base: 8, timestamps: [NOON + 7] }),
      ];
      await askOf(
        trial,
        made,
        async (reader) => {
          assert.equal(await reader.offsetForTimestamp(-1), 5);
          assert.equal(await reader.offsetForTimestamp(NOON + 10), 5);
          assert.equal(await reader.offsetForTimestamp(NOON + 11), undefined);
        },
        { base: 5 },
      );
    },
  },
  {
    id: 'SHARD-082',
    level: 'MUST',
    area: 'timestamps',
    subject: 'engine',
    promise: 'answer the same for many batches, through the writer and through a reader',
    why: 'A sparse time index is built while writing and loaded when reading, by two pieces of code.',
    async run(trial) {
      const { random } = trial;
      const times = Array.from({ length: 500 }, (_, i) => NOON + i * 10 + Math.floor(random.next() * 200));
      const made = times.map((time, base) =>
        batch({ base, timestamps: [time], valueBytes: 10 + Math.floor(random.next() * 500) }),
      );
      const asked = Array.from({ length: 100 }, () => NOON + Math.floor(random.next() * 5500));
      const expected = asked.map((time) => {
        const found = times.findIndex((each) => each >= time);
        return found === -1 ? undefined : found;
      });
      await askOf(trial, made, async (reader) =>
        assert.deepEqual(await Promise.all(asked.map((time) => reader.offsetForTimestamp(time))), expected),
      );
    },
  },
];
