import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openServiceWorld, runCheck, type ServiceCorner } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import { expect, onTestFinished, test } from 'vitest';
import type { Facts } from '../src/check.ts';
import { lateAnswerChecks } from '../src/checks/late-answers.ts';
import http from './http-engine.ts';
import { fileServer } from './remote-files.ts';

const engine = http as EngineDefinition; // the suite's settings are any
const [check] = lateAnswerChecks;

interface Late {
  readonly fences?: boolean;
  readonly timeoutMs?: number;
  readonly effort: number;
  readonly seed?: number;
}

/** @returns what the check noted; `undefined`: it found nothing to look at */
async function late({ fences = true, timeoutMs = 500, effort, seed = 1 }: Late): Promise<Facts | undefined> {
  if (check === undefined) throw new Error('there is no such check');
  const server = await fileServer(fences);
  const root = await mkdtemp(join(tmpdir(), 'robust-late-'));
  onTestFinished(async () => {
    await server.close();
    await rm(root, { recursive: true });
  });
  const facts: Facts = {};
  const open = () =>
    openServiceWorld(engine, {
      service: { host: '127.0.0.1', port: server.port },
      settings: ({ host, port, world }: ServiceCorner) => ({ host, port, dir: join(root, world), timeoutMs }),
    });
  const onFacts = (more: Facts): void => void Object.assign(facts, more);
  const ran = await runCheck(check, engine, { kind: 'engine', open }, { effort, seed, onFacts });
  return ran ? facts : undefined;
}

test('every request comes late once, or its answer: an engine whose service fences is not troubled', async () => {
  const { lateRequests } = (await late({ effort: 10 })) ?? {};
  if (lateRequests === undefined) throw new Error('no request was late');
  expect(lateRequests.tried).toBeGreaterThanOrEqual(0.8 * lateRequests.of);
});

test.each([1, 2, 3])(
  'an engine whose service does not fence is caught by what lies there afterwards (seed %i)',
  async (seed) => {
    await expect(late({ fences: false, effort: 10, seed })).rejects.toThrow(
      /SHARD-296 MUST.*let go after it had been given up: .*(CORRUPT|SEGMENT_NOT_SEALED|SEGMENT_EXISTS|holds|ends at|in the list)/s,
    );
  },
);

test.each([1, 3])(
  'an engine that waits for every answer is not looked at, whichever is held first (seed %i; with 3 it is one of its close)',
  async (seed) => {
    expect(await late({ timeoutMs: 60_000, effort: 1e-9, seed })).toBeUndefined();
  },
);
