import { type EngineDefinition, type SegmentReader, StorageError, systemClock } from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';
import { afterEach, describe, expect, it } from 'vitest';
import type { LogShard } from '../../src/shard/shard.ts';
import { upkeep } from '../../src/shard/upkeep.ts';
import { batch, type Node, openInstanceOf, openMemoryInstance, openNode, shardOf } from './harness.ts';

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

const SEGMENTS = 11;
/** The segment that begins here can't be read. */
const BAD = 5;

/** A shard of one record a segment, which is only looked after when the test says so. */
async function shardWithBadSegment() {
  const meta = new MemoryMeta();
  const clock = { ...systemClock, shift: 0, monotonic: () => systemClock.monotonic() + clock.shift };
  const tried = { reads: 0 };
  const definition: EngineDefinition = {
    ...(memoryEngine as EngineDefinition),
    open: async (ctx) => {
      const engine = await (memoryEngine as EngineDefinition).open(ctx);
      const create = engine.create.bind(engine);
      const openReader = engine.openReader.bind(engine);
      let bad: string | undefined;
      const damaged = <R extends SegmentReader>(reader: R): R => {
        reader.read = async () => {
          tried.reads++;
          throw new StorageError('CORRUPT', 'a sector is gone');
        };
        return reader;
      };
      engine.create = async (id, options) => {
        if (options.base !== BAD) return create(id, options);
        bad = id;
        return damaged(await create(id, options));
      };
      engine.openReader = async (id) => (id === bad ? damaged(await openReader(id)) : openReader(id));
      return engine;
    },
  };
  const engines = new Map([
    ['memory', await openInstanceOf(definition, 'memory', meta)],
    ['second', await openMemoryInstance('second', meta)],
  ]);
  const node = await openNode({ meta, engines, clock, tuning: { maintenanceIntervalMs: 3_600_000, deleteGraceMs: 0 } });
  nodes.push(node);
  const shard = (await shardOf(node.storage, 't')) as LogShard; // this adapter made it
  for (let i = 0; i < SEGMENTS; i++) {
    await shard.append([batch([`${i}`])]);
    await shard.log.rollNow();
  }
  return { storage: node.storage, shard, clock, tried };
}

const chainOf = (shard: LogShard) => shard.log.rows.map((row) => `${row.base}-${row.end} ${row.instance}`);

async function rounds(shard: LogShard): Promise<void> {
  for (let i = 0; i < 10; i++) {
    // the loops log what fails
    await upkeep(shard.log).catch(() => {});
    await shard.log.moves.next(() => {}).catch(() => {});
  }
}

describe('A segment that can not be read', () => {
  it('is left alone for a while, and its neighbours are merged around it', async () => {
    const { shard, tried } = await shardWithBadSegment();
    await rounds(shard);
    expect(chainOf(shard)).toEqual(['0-5 memory', '5-6 memory', '6-11 memory']);
    expect(tried.reads).toBe(1);
  });

  it('does not keep the segments behind it from moving, and is tried again after a rest that doubles', async () => {
    const { storage, shard, clock, tried } = await shardWithBadSegment();
    await storage.alterTopic('t', { engine: 'second' });
    await rounds(shard);
    expect(chainOf(shard)).toEqual(['0-5 second', '5-6 memory', '6-11 second']);
    expect(tried.reads).toBe(1);
    clock.shift += 10_001;
    await rounds(shard);
    expect(tried.reads).toBe(2);
    clock.shift += 10_001;
    await rounds(shard);
    expect(tried.reads).toBe(2);
    clock.shift += 10_001;
    await rounds(shard);
    expect(tried.reads).toBe(3);
  });
});
