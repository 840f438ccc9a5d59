import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import { appendsDurably, type Check, NotClaimed } from '../check.ts';
import { History } from '../process/history.ts';
import { killRounds, readBack } from '../process/rounds.ts';

const ROUNDS = 12;
const BOX_MS = 10_000;

export const processChecks: readonly Check[] = [
  {
    id: 'SHARD-240',
    level: 'MUST',
    area: 'process',
    subject: 'engine',
    promise: 'lose, repeat, reorder, invent, change and renumber nothing when its process is killed again and again',
    why: 'A crash that a test imitates spares what the process has in its own buffers and threads; kill -9 spares nothing.',
    timeoutMs: 120_000,
    claimed: appendsDurably,
    async run({ harness, seed, effort, note }) {
      const { workshop } = harness;
      if (workshop?.module === undefined) {
        note({ kills: 'n/a' });
        throw new NotClaimed('nobody has said what a child process imports to get at the engine (`module`)');
      }
      const { module } = workshop;
      const dir = await mkdtemp(join(tmpdir(), 'robust-kill-'));
      const meta = new MemoryMeta();
      const config = workshop.configOn(meta);
      const history = new History();
      try {
        const random = new SeededRandom(seed);
        const limits = { rounds: ROUNDS * effort, boxMs: BOX_MS * effort };
        const rounds = await killRounds({ module, config, dir, meta, random, ...limits }, history);
        const { instance } = await workshop.open({ dir, meta });
        try {
          await readBack(instance.engine, history);
        } finally {
          await instance.close();
        }
        assert.deepEqual(history.violations, [], `after ${rounds} kills`);
        assert.ok(history.counts.acknowledged > 0, 'no append was ever acknowledged');
        note({ kills: { rounds, calls: history.counts.calls } });
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    },
  },
];
