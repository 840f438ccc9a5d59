import type { EngineDefinition, Meta } from '@robustmq/core';
import { MemoryMeta } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';
import { afterEach, expect, it } from 'vitest';
import { batch, type Node, openInstanceOf, openNode, shardOf } from './harness.ts';

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

/** Meta whose watches are late: what they tell arrives when the gate opens. */
function lateMeta(gate: Promise<void>): Meta {
  const meta = new MemoryMeta();
  return {
    get: (key) => meta.get(key),
    list: (options) => meta.list(options),
    commit: (mutation) => meta.commit(mutation),
    commitEach: (mutations) => meta.commitEach(mutations),
    watch: async function* (options) {
      for await (const events of meta.watch(options)) {
        await gate;
        yield events;
      }
    },
  };
}

it('a deleted topic does not come back when the watch tells late that it was created', async () => {
  let open = (): void => {};
  const node = await openNode({
    meta: lateMeta(
      new Promise((resolve) => {
        open = resolve;
      }),
    ),
  });
  nodes.push(node);
  const { storage } = node;
  const abort = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { type, topic } of storage.watch(abort.signal)) {
      seen.push(`${type} ${topic.name}`);
      if (topic.name === 'last') return;
    }
  })();
  await storage.createTopic('t');
  await storage.alterTopic('t', { retention: { ms: 1000 } });
  await storage.deleteTopic('t');
  open();
  await new Promise((resolve) => setTimeout(resolve, 20)); // all of it has arrived
  expect(storage.topic('t')).toBeUndefined();
  const second = await storage.createTopic('t');
  await storage.createTopic('last');
  await watching;
  expect(seen).toEqual(['created t', 'altered t', 'deleted t', 'created t', 'created last']);
  expect(storage.topic('t')?.id).toBe(second.id);
});

it('a segment that was being created when its topic was deleted does not stay in the engine', async () => {
  const meta = new MemoryMeta();
  let isCreating = (): void => {};
  let goOn = (): void => {};
  const creating = new Promise<void>((resolve) => {
    isCreating = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const definition: EngineDefinition = {
    ...(memoryEngine as EngineDefinition),
    open: async (ctx) => {
      const engine = await (memoryEngine as EngineDefinition).open(ctx);
      const create = engine.create.bind(engine);
      engine.create = async (id, options) => {
        isCreating();
        await gate;
        return create(id, options);
      };
      return engine;
    },
  };
  const instance = await openInstanceOf(definition, 'memory', meta);
  const opened = await openNode({
    meta,
    engines: new Map([['memory', instance]]),
    tuning: { maintenanceIntervalMs: 5, deleteGraceMs: 300 },
  });
  nodes.push(opened);
  const shard = await shardOf(opened.storage, 't');
  const append = shard.append([batch(['a'])]).catch(() => {}); // the topic is gone, or not
  await creating;
  await opened.storage.deleteTopic('t');
  await expect.poll(async () => (await meta.list({ prefix: 'chain/' })).entries.length).toBe(0);
  goOn();
  await append;
  await expect.poll(async () => (await meta.list({ prefix: 'deleting/' })).entries.length).toBe(0);
  expect(await instance.engine.list({ prefix: '', limit: 10 })).toEqual([]);
});
