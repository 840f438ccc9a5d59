import assert from 'node:assert/strict';
import { ENGINE_API_VERSION, type StorageEngine } from '@robustmq/core';
import { batch } from '../batches.ts';
import { type Check, NotClaimed } from '../check.ts';
import { refused } from '../expect.ts';
import { inTime } from '../faults-io/ledger.ts';
import type { FlakyLink } from '../faults-net/flaky-link.ts';
import { pause } from '../resources.ts';
import { chunks, fill, open } from './segments.ts';

const KNOWN = {
  durability: ['none', 'fsync', 'pipeline', 'quorum', 'object-store'],
  placement: ['node', 'cluster'],
  append: [true, false],
} as const;

const ATTEMPTS = 5;
const LOOKS_EVERY_MS = 50;
const MOST_LOOKS = 100;

export const capabilityChecks: readonly Check[] = [
  {
    id: 'SHARD-140',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'declare what it can do in the words of the contract, and nothing else',
    why: 'Topics are placed by these claims; a word that nobody checks is a promise that nobody keeps.',
    async run({ definition }) {
      const { maxBatchBytes, ...claims } = definition.capabilities;
      assert.ok(Number.isSafeInteger(maxBatchBytes) && maxBatchBytes >= 1024 * 1024, `maxBatchBytes ${maxBatchBytes}`);
      assert.deepEqual(Object.keys(claims).sort(), Object.keys(KNOWN).sort());
      for (const [name, values] of Object.entries(KNOWN)) {
        const value: unknown = claims[name as keyof typeof KNOWN]; // the keys are the same, as was just shown
        assert.ok((values as readonly unknown[]).includes(value), `${name} ${String(value)}`);
      }
      assert.deepEqual(structuredClone(definition.capabilities), definition.capabilities);
    },
  },
  {
    id: 'SHARD-141',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'create segments if it declares `append`, and refuse with NOT_SUPPORTED if it does not',
    why: 'A capability is tested in both directions: one that works undeclared is one that breaks unnoticed.',
    async run({ engine, definition }) {
      if (definition.capabilities.append) assert.equal((await fill(await open(engine), 2)).length, 2);
      else await refused(open(engine), 'NOT_SUPPORTED', 'none');
    },
  },
  {
    id: 'SHARD-142',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'say what it is called, which contract it was written for, and which settings it takes',
    why: 'A misspelt setting has to be an error when the node starts, not a default that nobody chose.',
    async run({ definition }) {
      assert.match(definition.name, /^[a-z][a-z0-9-]*$/);
      assert.match(definition.version, /^\d+\.\d+\.\d+/);
      assert.equal(definition.apiVersion, ENGINE_API_VERSION);
      assert.equal(definition.configSchema.type, 'object');
      assert.equal(definition.configSchema.additionalProperties, false);
    },
  },
  {
    id: 'SHARD-143',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'do housekeeping within a budget of no requests at all',
    why: 'Housekeeping is what makes a bill grow while nothing happens.',
    async run({ engine, definition, harness: { link } }) {
      // what fails here is for other checks to tell
      await leaveWork(engine, definition.capabilities.append).catch(() => {});
      const keepUp = async (): Promise<void> => {
        const { signal } = new AbortController();
        await inTime('housekeeping', engine.maintain?.({ requestBudget: 0, signal }) ?? Promise.resolve());
      };
      await keepUp();
      if (link === undefined) throw new NotClaimed('there is no link at which its requests could be counted');
      let made = Number.POSITIVE_INFINITY;
      // what it sends for other reasons may come in between, now and then
      for (let i = 0; i < ATTEMPTS && made > 0; i++) {
        await quiet(link);
        const before = link.requests;
        await keepUp();
        await pause(LOOKS_EVERY_MS);
        made = Math.min(made, link.requests - before);
      }
      assert.equal(made, 0, 'requests made within a budget of none, at the least');
    },
  },
];

/** What housekeeping may find to do: a copy that is not needed any more, segments to put together. */
async function leaveWork(engine: StorageEngine, appends: boolean): Promise<void> {
  for (const id of ['kept', 'dropped']) {
    const made = [0, 1, 2].map((base) => batch({ base, tag: id, valueBytes: 3000 }));
    await engine.ingest(id, { base: 0, end: 3, epoch: 1, state: new Uint8Array(0), uid: 'u' }, chunks(...made));
  }
  await engine.delete('dropped');
  if (!appends) return;
  for (const id of ['sealed', 'deleted']) {
    const writer = await open(engine, { id });
    await fill(writer, 5);
    await writer.seal();
  }
  await engine.delete('deleted');
}

/** Until nothing was sent for a moment. */
async function quiet(link: FlakyLink): Promise<void> {
  for (let looks = 0, before = -1; looks < MOST_LOOKS && before !== link.requests; looks++) {
    before = link.requests;
    await pause(LOOKS_EVERY_MS);
  }
}
