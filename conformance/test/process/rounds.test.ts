import { checks, openWorld, runCheck } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import localFile from '@robustmq/engine-local-file';
import { expect, test } from 'vitest';
import hasty from './hasty-engine.ts';

const check = checks.find(({ id }) => id === 'SHARD-240');
if (check === undefined) throw new Error('the check has gone');
const sound = localFile as unknown as EngineDefinition; // as in the fixture
const module = import.meta.resolve('./hasty-engine.ts');

test('an engine that writes after it has acknowledged loses what a kill overtakes, and that is seen', async () => {
  const stage = { kind: 'engine', open: () => openWorld(hasty, { config: {}, module }) } as const;
  await expect(runCheck(check, hasty, stage, { effort: 0.25 })).rejects.toThrow(/SHARD-240 MUST .*lost/s);
}, 60_000);

test('nobody has said where the engine is imported from: that is told, and not passed silently', async () => {
  const facts: unknown[] = [];
  const stage = { kind: 'engine', open: () => openWorld(sound, { config: {} }) } as const;
  expect(await runCheck(check, sound, stage, { onFacts: (fact) => facts.push(fact) })).toBe(false);
  expect(facts).toEqual([{ kills: 'n/a' }]);
}, 60_000);

test('a process that ends by itself is a failure, with its last words', async () => {
  const nowhere = new URL('./no-such-engine.ts', import.meta.url).href;
  const stage = { kind: 'engine', open: () => openWorld(sound, { config: {}, module: nowhere }) } as const;
  await expect(runCheck(check, sound, stage)).rejects.toThrow(/ended by itself.*no-such-engine/s);
}, 60_000);
