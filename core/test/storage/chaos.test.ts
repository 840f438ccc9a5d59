import {
  type EngineDefinition,
  isStorageError,
  type Meta,
  type SegmentWriter,
  type Shard,
  StorageError,
} from '@robustmq/core';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';
import { describe, expect, it } from 'vitest';
import { batch, openInstanceOf, openNode, readAll } from './harness.ts';

const SEEDS = Number(process.env.CHAOS_SEEDS ?? 12);
const FIRST_SEED = Number(process.env.CHAOS_SEED ?? 1);
const PRODUCERS = 3;
const BATCHES = 40;
const WINDOW = 4;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Everything that may go wrong between a shard and what it stands on, by one source of chance, until it is told to be calm. */
class Weather {
  readonly random: SeededRandom;
  calm = false;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  chance(probability: number): boolean {
    return !this.calm && this.random.next() < probability;
  }
}

/** Replies take up to 3 ms, and one in ten gets lost. */
function stormyMeta(inner: Meta, weather: Weather): Meta {
  return {
    get: (key) => inner.get(key),
    list: (options) => inner.list(options),
    watch: (options) => inner.watch(options),
    commitEach: (mutations) => inner.commitEach(mutations),
    commit: async (mutation) => {
      await pause(weather.random.next() * 3);
      const result = await inner.commit(mutation);
      if (weather.chance(0.1)) throw new StorageError('META_UNAVAILABLE', 'the reply was lost');
      return result;
    },
  };
}

/** Appends fail, get lost behind their being applied, are refused for want of room, or ask for another segment. */
function stormyWriter(writer: SegmentWriter, weather: Weather): SegmentWriter {
  let failed = false;
  const failure = () => new StorageError('WRITER_FAILED', 'the connection broke');
  return {
    offsets: () => writer.offsets(),
    state: () => writer.state(),
    read: (from, options) => writer.read(from, options),
    offsetForTimestamp: (timestamp) => writer.offsetForTimestamp(timestamp),
    close: () => writer.close(),
    ready: (bytes) => (failed ? Promise.reject(failure()) : writer.ready(bytes)),
    flush: () => writer.flush(),
    seal: () => (failed ? Promise.reject(failure()) : writer.seal()),
    append: async (batches, options) => {
      if (failed) throw failure();
      if (weather.chance(0.05)) {
        failed = true;
        throw failure();
      }
      if (weather.chance(0.05)) throw new StorageError('SEGMENT_MUST_ROLL', 'another segment, please');
      if (weather.chance(0.05)) throw new StorageError('DISK_FULL', 'no room');
      const replyIsLost = weather.chance(0.05);
      if (replyIsLost) failed = true;
      const result = await writer.append(batches, options);
      if (weather.chance(0.5)) await pause(weather.random.next() * 3);
      if (replyIsLost) throw failure();
      return result;
    },
  };
}

function stormyEngine(weather: Weather): EngineDefinition {
  const inner = memoryEngine as EngineDefinition;
  return {
    ...inner,
    open: async (ctx) => {
      const engine = await inner.open(ctx);
      return {
        incarnation: engine.incarnation,
        create: async (id, options) => stormyWriter(await engine.create(id, options), weather),
        recover: (id, options) => engine.recover(id, options),
        ingest: (id, options, batches) => engine.ingest(id, options, batches),
        openReader: (id) => engine.openReader(id),
        delete: (id) => engine.delete(id),
        list: (options) => engine.list(options),
        close: () => engine.close(),
      };
    },
  };
}

/** Sends its batches in order, a few at a time, each again until it is acknowledged. */
async function produce(shard: Shard, id: number, weather: Weather, acknowledged: Map<string, number>): Promise<void> {
  const send = async (sequence: number): Promise<void> => {
    for (;;)
      try {
        const { base } = await shard.append([batch([`${id}-${sequence}`], { id, sequence })]);
        acknowledged.set(`${id}-${sequence}`, base);
        return;
      } catch (error) {
        if (!isStorageError(error)) throw error;
        await pause(2);
      }
  };
  const window: Promise<void>[] = [];
  for (let sequence = 0; sequence < BATCHES; sequence++) {
    window.push(send(sequence));
    if (window.length >= WINDOW) await window.shift();
    if (weather.random.next() < 0.2) await pause(1);
  }
  await Promise.all(window);
}

describe('Shard in bad weather', () => {
  it('keeps what it acknowledged, once, at its offset, while writers fail, disks fill, Meta loses replies and the engine changes', async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const weather = new Weather(seed);
      weather.calm = true;
      const meta = stormyMeta(new MemoryMeta(), weather);
      const engines = new Map([
        ['memory', await openInstanceOf(stormyEngine(weather), 'memory', meta)],
        ['second', await openInstanceOf(stormyEngine(weather), 'second', meta)],
      ]);
      const tuning = { maintenanceIntervalMs: 5, deleteGraceMs: 5 };
      const defaults = { segment: { bytes: 3000, ms: 3_600_000 } };
      const { storage } = await openNode({ meta, engines, tuning, defaults });
      const shard = storage.shard(await storage.createTopic('t'), 0);
      weather.calm = false;
      const acknowledged = new Map<string, number>();
      const changing = (async () => {
        for (const engine of ['second', 'memory', 'second', 'memory']) {
          await pause(10);
          await storage.alterTopic('t', { engine }).catch(() => {}); // a lost reply is this caller's to ask again
        }
      })();
      await Promise.all(Array.from({ length: PRODUCERS }, (_, i) => produce(shard, i + 1, weather, acknowledged)));
      await changing;
      weather.calm = true;
      const found = new Map<string, number>();
      for (const line of await readAll(shard)) {
        const [offset = '', value = ''] = line.split(':');
        expect(found.has(value), `seed ${seed}: ${value} is there twice`).toBe(false);
        found.set(value, Number(offset));
      }
      expect(found, `seed ${seed}`).toEqual(acknowledged);
      await storage.close();
    }
  }, 120_000);
});
