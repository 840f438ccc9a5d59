import assert from 'node:assert/strict';
import { ENGINE_API_VERSION } from '@robustmq/core';
import type { Check } from '../check.ts';
import { refused } from '../expect.ts';
import { fill, open } from './segments.ts';

const KNOWN = {
  durability: ['none', 'fsync', 'pipeline', 'quorum', 'object-store'],
  placement: ['node', 'cluster'],
  append: [true, false],
} as const;

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
    async run({ engine }) {
      await engine.maintain?.({ requestBudget: 0, signal: new AbortController().signal });
    },
  },
];
