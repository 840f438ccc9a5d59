import { describe, expect, it } from 'vitest';
import { openObjects } from '../../src/open.ts';
import { runModel } from './model.ts';

const SEEDS = Number(process.env.MODEL_SEEDS ?? 60);
const FIRST = Number(process.env.MODEL_SEED ?? 1);

describe.each(['objects', 'files'] as const)(
  'Two writers, zombies, lost replies, sweepers and compaction over %s',
  (kind) => {
    it('lose nothing that was acknowledged, and leave nothing behind', async () => {
      let [acknowledged, inParts] = [0, 0];
      for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
        const result = await runModel(seed, openObjects, kind).catch((error: unknown) => {
          throw new Error(
            `seed ${seed}: node engines/objects/test/model/run.ts --kind ${kind} --seed ${seed} --seeds 1`,
            { cause: error },
          );
        });
        acknowledged += result.acknowledged;
        inParts += result.inParts;
      }
      expect(acknowledged).toBeGreaterThan(SEEDS);
      if (kind === 'objects') expect(inParts).toBeGreaterThan(0);
    }, 60_000);

    it('repeat themselves from their seed', async () => {
      expect(await runModel(4711, openObjects, kind)).toEqual(await runModel(4711, openObjects, kind));
    }, 60_000);
  },
);
