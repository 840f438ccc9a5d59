import { checks, openShardWorld, openWorld, runCheck, type ShardHarness } from '@robustmq/conformance';
import type { EngineDefinition, SegmentWriter, StorageEngine } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import memory from '@robustmq/engine-memory';
import { expect, test } from 'vitest';
import { ShardModel } from '../../src/model/shard-model.ts';
import { unfencedEngine } from './unfenced-engine.ts';

const sound = memory as EngineDefinition; // opened with the configuration that it asks for
const config = { limitBytes: 256 * 1024 * 1024 };

test.each([
  [
    'cuts an append that it had acknowledged when it recovers',
    (engine: StorageEngine) => {
      const recover = engine.recover.bind(engine);
      engine.recover = async (id, options) => {
        const { end } = await recover(id, options);
        return { end: end > 3 ? end - 1 : end };
      };
    },
    /recovered to \d+, acknowledged up to \d+/,
  ],
  [
    'finds the newest batch of a time, not the first',
    (engine: StorageEngine) =>
      eachWriter(engine, (writer) => {
        const find = writer.offsetForTimestamp.bind(writer);
        writer.offsetForTimestamp = async (time) => {
          const found = await find(time);
          return found === undefined ? undefined : Math.max(found, writer.offsets().committed - 1);
        };
      }),
    /for time \d+ the offset is/,
  ],
  [
    'forgets a deletion',
    (engine: StorageEngine) => {
      const { delete: remove } = engine;
      engine.delete = async (id) => {
        if (!id.endsWith('.1-0')) await remove.call(engine, id);
      };
    },
    /ids in the list|SEGMENT_UNKNOWN or SEGMENT_LOST was wanted|ids that are left/,
  ],
  [
    'takes an append that had been given up for one that failed',
    (engine: StorageEngine) =>
      eachWriter(engine, (writer) => {
        const append = writer.append.bind(writer);
        let appends = 0;
        writer.append = async (batches, options) => {
          const appended = await append(batches, options);
          if (++appends % 5 === 0) throw Object.assign(new Error('late'), { errno: -5 });
          return appended;
        };
      }),
    /append \d+ failed: IO_ERROR/,
  ],
] as const)('the model sees an engine that %s, and its seed shows the same again', async (_, breaks, message) => {
  const definition: EngineDefinition = {
    ...sound,
    open: async (ctx) => {
      const engine = await sound.open(ctx);
      breaks(engine);
      return engine;
    },
  };
  const first = await failureOf(definition, 5);
  expect(first).toMatch(message);
  expect(first).toMatch(/\n {2}1\. \w+ \{/);
  const seed = Number(/Again: --seed (\d+)/.exec(first)?.[1]);
  const again = await failureOf(definition, seed);
  expect(sequenceOf(again)).toEqual(sequenceOf(first));
  expect(sequenceOf(first).length).toBeLessThan(10);
});

test('the model of a shard sees an engine under which a former owner goes on', async () => {
  const definition = unfencedEngine();
  const stage = { kind: 'shard', open: () => openShardWorld(definition, { config: {} }) } as const;
  await expect(runCheck(checkOf('shard'), definition, stage, { seed: 3 })).rejects.toThrow('SHARD-231 MUST');
});

test('the model of a shard rolls it by size, and the next owner of a sound one goes on', async () => {
  const harness = await openShardWorld(sound, { config });
  const trial = { definition: sound, harness, random: new SeededRandom(1), seed: 1, effort: 1, note: () => {} };
  const shardTrial = Object.defineProperty(trial, 'shard', { get: () => harness.shard }) as typeof trial & ShardHarness; // as just added
  const model = new ShardModel(shardTrial, 't');
  const before = harness.shard;
  const small = {
    do: 'append',
    slot: 0,
    batches: [{ records: 2, size: 100, ms: 1 }],
    wait: false,
    abort: 'no',
  } as const;
  for (const command of [small, { do: 'roll' }, small, { do: 'takeOver' }, small, { do: 'roll' }] as const)
    await model.run(command);
  await model.finish();
  expect(harness.shard).not.toBe(before);
  expect((await harness.shard.segments()).length).toBeGreaterThan(3);
  await harness.dispose();
});

test('commands are counted, of an engine and of a shard', async () => {
  for (const kind of ['engine', 'shard'] as const) {
    const facts: { modelCommands?: number }[] = [];
    const stage =
      kind === 'engine'
        ? { kind, open: () => openWorld(sound, { config }) }
        : { kind, open: () => openShardWorld(sound, { config }) };
    await runCheck(checkOf(kind), sound, stage, { effort: 0.1, onFacts: (fact) => facts.push(fact) });
    expect(facts[0]?.modelCommands).toBeGreaterThan(0);
  }
});

async function failureOf(definition: EngineDefinition, seed: number): Promise<string> {
  const stage = { kind: 'engine', open: () => openWorld(definition, { config }) } as const;
  try {
    await runCheck(checkOf('engine'), definition, stage, { seed });
  } catch (error) {
    return String(error);
  }
  return 'it passed';
}

function sequenceOf(message: string): string[] {
  return message.split('\n').filter((line) => /^ {2}\d+\./.test(line));
}

function checkOf(subject: 'engine' | 'shard'): (typeof checks)[number] {
  const check = checks.find((each) => each.area === 'model' && each.subject === subject);
  if (check === undefined) throw new Error(`no model of a ${subject}`);
  return check;
}

function eachWriter(engine: StorageEngine, breaks: (writer: SegmentWriter) => void): void {
  const create = engine.create.bind(engine);
  engine.create = async (id, options) => {
    const writer = await create(id, options);
    breaks(writer);
    return writer;
  };
}
