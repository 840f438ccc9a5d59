import { openWorld, runScorecard, settingsOf } from '@robustmq/conformance';
import { StorageError } from '@robustmq/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { brokenWriter, MEMORY } from '../mutants/mutant.ts';

/** As the command line is: without a test runner that listens, too. */
function withoutTheRunner(): void {
  const listeners = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  onTestFinished(() => {
    for (const listener of listeners) process.on('unhandledRejection', listener);
  });
}

describe('a rejection that nobody hears', () => {
  it('ends neither the process nor what the other checks have to say', async () => {
    withoutTheRunner();
    const definition = brokenWriter(MEMORY, () => ({
      append: async () => {
        await null;
        throw new StorageError('IO_ERROR', 'no disk at all');
      },
    }));
    const stage = { kind: 'engine', open: () => openWorld(definition, { config: settingsOf(definition) }) } as const;
    const card = await runScorecard(definition, stage, { only: ['SHARD-031', 'SHARD-032', 'SHARD-053', 'SHARD-090'] });
    expect(card.failed.map(({ id }) => id)).toEqual(['SHARD-031', 'SHARD-032', 'SHARD-090']);
    for (const { error } of card.failed) expect(error.message).toContain('no disk at all');
    expect(card.passed).toEqual(['SHARD-053']);
  });

  it('fails the check that would have passed', async () => {
    withoutTheRunner();
    const definition = {
      ...MEMORY,
      open: async (ctx: Parameters<typeof MEMORY.open>[0]) => {
        void Promise.reject(new Error('of nobody'));
        return await MEMORY.open(ctx);
      },
    };
    const stage = { kind: 'engine', open: () => openWorld(definition, { config: settingsOf(definition) }) } as const;
    const card = await runScorecard(definition, stage, { only: ['SHARD-053'] });
    expect(card.failed[0]?.error.message).toContain('a promise was rejected, and nobody heard it: Error: of nobody');
  });
});
