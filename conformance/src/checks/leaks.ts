import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem, type StorageEngine } from '@robustmq/core';
import { FaultPlan, faultyFileSystem, MemoryMeta } from '@robustmq/core/testing';
import { batch } from '../batches.ts';
import { appends, type Check, type EngineTrial, NotClaimed, type Workshop } from '../check.ts';
import { refused, settled } from '../expect.ts';
import { activeResources, CountedClock, eventually, heldBytes, openFileNames, openFiles, pause } from '../resources.ts';
import { chunks, fill, hold, ones, open } from './segments.ts';

export const leakChecks: readonly Check[] = [
  {
    id: 'SHARD-130',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'settle every append that is in flight when it is closed',
    why: 'A promise that nobody settles is a client that waits for ever and a shutdown that hangs.',
    claimed: appends,
    async run({ engine }) {
      const writers = await Promise.all([1, 2, 3].map(async (i) => await open(engine, { id: `s-${i}` })));
      const appends = writers.flatMap((writer) =>
        Array.from({ length: 30 }, (_, i) => settled(writer.append([batch({ base: i })], { base: i }))),
      );
      await engine.close();
      for (const result of await Promise.all(appends))
        if ('error' in result) assert.notEqual(result.error.code, 'INVALID_ARGUMENT');
    },
  },
  {
    id: 'SHARD-131',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'close twice without harm, and refuse everything afterwards',
    why: 'Whatever stops a node stops parts of it twice.',
    async run({ engine, definition }) {
      const writer = definition.capabilities.append ? await open(engine) : undefined;
      await Promise.all([engine.close(), engine.close()]);
      await engine.close();
      await refused(open(engine, { id: 's-2' }), ['CLOSED', 'NOT_SUPPORTED'], 'none');
      await refused(engine.recover('s-1', { epoch: 2 }), 'CLOSED', 'none');
      await refused(engine.list({ prefix: '', limit: 1 }), 'CLOSED', 'none');
      if (writer === undefined) return;
      await refused(writer.append([batch()], { base: 0 }), 'CLOSED', 'none');
      await refused(writer.read(0, { maxBytes: 1 }), 'CLOSED', 'none');
      await settled(writer.close());
    },
  },
  {
    id: 'SHARD-132',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'hold no open file for segments that are gone',
    why: 'A descriptor a segment is enough for a week, and then nothing can be opened any more.',
    claimed: () => openFiles() !== undefined,
    async run(trial) {
      const { engine } = trial;
      const round = async (from: number): Promise<void> => {
        for (let i = from; i < from + 20; i++) {
          const first = await hold(trial, ones(3), { id: `s-${i}` });
          await first.seal?.();
          const reader = await engine.openReader(`s-${i}`);
          await reader.read(0, { maxBytes: 1 });
          await reader.close();
          await first.close();
          await engine.delete(`s-${i}`);
        }
      };
      await round(0);
      const before = openFiles() ?? 0;
      for (let i = 1; i <= 3; i++) await round(i * 20);
      // what was let go of is gone a moment later
      const after = (await eventually(openFiles, (now = 0) => now <= before + 10)) ?? 0;
      assert.ok(after <= before + 10, `${before} files were open after 20 segments, ${after} after 80`);
    },
  },
  {
    id: 'SHARD-133',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'keep no file, thread or socket when it is closed',
    why: 'A process that can not end is killed, and killing is what the next start has to repair.',
    claimed: () => openFiles() !== undefined,
    async run(trial) {
      await trial.harness.reopen({ crash: false });
      const before = openFileNames();
      for (let i = 0; i < RESTARTS; i++) {
        if (trial.definition.capabilities.append && i < 5) await fill(await open(trial.engine, { id: `s-${i}` }), 3);
        await trial.harness.reopen({ crash: false });
      }
      const after = await eventually(openFileNames, ({ length }) => length <= before.length + OF_A_THREAD);
      const more = after.filter((name) => !before.includes(name)).slice(0, 10);
      assert.ok(
        after.length <= before.length + OF_A_THREAD,
        `${before.length} files were open, ${after.length} are after ${RESTARTS} restarts: ${more.join(', ')}`,
      );
    },
  },
  {
    id: 'SHARD-134',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'leave no timer waiting and nothing that keeps the process alive when it is closed',
    why: 'A timer that fires after close works on what is gone; one that does not let the process end turns every stop into a kill.',
    async run(trial) {
      await within(trial, async (dir, workshop) => {
        const before = activeResources();
        const meta = new MemoryMeta();
        for (let i = 0; i < LIVES; i++) {
          const clock = new CountedClock();
          const { instance } = await workshop.open({ dir, meta, clock });
          await useAll(trial, instance.engine, `r${i}-`);
          await instance.close();
          assert.equal(clock.timers, 0, 'timers that wait after close');
        }
        // the process has a few things of its own that come and go: what stays of each life comes to more
        const more = await eventually(
          () =>
            [...activeResources()].filter(
              ([kind, now]) => KEEPS_ALIVE.test(kind) && now >= (before.get(kind) ?? 0) + LIVES - OF_OTHERS,
            ),
          ({ length }) => length === 0,
        );
        assert.deepEqual(more, [], 'what keeps the process alive after close, beside what did before');
      });
    },
  },
  {
    id: 'SHARD-135',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'hold no memory when it is closed',
    why: 'A buffer that outlives its instance is found weeks later, by the kernel.',
    timeoutMs: 60_000,
    async run(trial) {
      await within(trial, async (dir, workshop) => {
        const meta = new MemoryMeta();
        const round = async (i: number): Promise<void> => {
          const { instance } = await workshop.open({ dir, meta });
          await useAll(trial, instance.engine, `r${i}-`);
          await instance.close();
        };
        for (let i = 0; i < WARM_ROUNDS; i++) await round(i);
        const before = heldBytes();
        for (let i = WARM_ROUNDS; i < WARM_ROUNDS + ROUNDS; i++) await round(i);
        const limit = before + ROUNDS * BYTES_A_ROUND;
        const after = await eventually(heldBytes, (now) => now <= limit);
        assert.ok(after <= limit, `${before} bytes were held, ${after} are after ${ROUNDS} more lives`);
      });
    },
  },
  {
    id: 'SHARD-136',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'leave no rejected promise to nobody, whatever fails and whoever has stopped waiting',
    why: 'Node ends the process at the first one: a failed write of one segment has taken down whole nodes that way.',
    claimed: appends,
    async run(trial) {
      await within(trial, async (dir, workshop) => {
        const seen: unknown[] = [];
        const see = (reason: unknown): void => void seen.push(reason);
        process.on('unhandledRejection', see);
        try {
          await failAndLeave(dir, workshop);
          // rejections are reported when the turn is over
          for (let i = 0; i < 3; i++) await pause(5);
        } finally {
          process.off('unhandledRejection', see);
        }
        assert.deepEqual(seen.map(String), [], 'promises that were rejected with nobody to hear of it');
      });
    },
  },
];

/** So many that one descriptor for each is more than what comes and goes by itself, also where a thread was counted before and not after. */
const RESTARTS = 14;
/** A thread's event loop has five, from the moment it begins; it may read or write its cache of compiled code, too. */
const OF_A_THREAD = 8;
const LIVES = 6;
const OF_OTHERS = 2;
const WARM_ROUNDS = 2;
const ROUNDS = 4;
/** Compiled code and what a garbage collection leaves: far below any buffer an engine works with. */
const BYTES_A_ROUND = 1024 * 1024;

/** Sockets, pipes, threads, watchers and timers; what else there is ends by itself. */
const KEEPS_ALIVE = /Wrap$|^MessagePort$|^Worker$|^Timeout$|^Immediate$/;

async function within(
  { harness }: EngineTrial,
  run: (dir: string, workshop: Workshop) => Promise<void>,
): Promise<void> {
  if (harness.workshop === undefined) throw new NotClaimed('the harness has no workshop');
  const dir = await mkdtemp(join(tmpdir(), 'robust-leaks-'));
  try {
    await run(dir, harness.workshop);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** A little of everything that could hold on to something. */
async function useAll({ definition }: EngineTrial, engine: StorageEngine, prefix = ''): Promise<void> {
  const taken = { base: 0, end: 1, epoch: 1, state: new Uint8Array(0), uid: 'u' };
  await engine.ingest(`${prefix}in`, taken, chunks(batch()));
  const reader = await engine.openReader(`${prefix}in`);
  await reader.read(0, { maxBytes: 1 });
  await reader.close();
  await engine.openReader(`${prefix}in`); // left open
  if (!definition.capabilities.append) return;
  for (let i = 0; i < 5; i++) {
    const writer = await open(engine, { id: `${prefix}s-${i}` });
    await fill(writer, 20, { valueBytes: 10_000 });
    if (i === 1) await writer.seal();
    if (i === 2) await engine.recover(`${prefix}s-2`, { epoch: 2 });
    if (i === 3) await engine.delete(`${prefix}s-3`);
  }
}

/** Writers whose disk fails under them, calls that are given up, a close in the middle of it: what comes of each is heard, and nothing else is left. */
async function failAndLeave(dir: string, workshop: Workshop): Promise<void> {
  const plan = new FaultPlan();
  const { instance } = await workshop.open({
    dir,
    meta: new MemoryMeta(),
    fs: faultyFileSystem(nodeFileSystem, plan),
  });
  const { engine } = instance;
  const writers = await Promise.all([0, 1, 2].map((i) => open(engine, { id: `s-${i}` })));
  await Promise.all(writers.map((writer) => fill(writer, 3)));
  plan.failStep(2, { how: 'error', every: 1 });
  const calls: Promise<unknown>[] = [];
  const ask = (...more: readonly (Promise<unknown> | undefined)[]): void => {
    for (const call of more) if (call !== undefined) calls.push(call.catch(() => {}));
  };
  for (const [i, writer] of writers.entries()) {
    const giveUp = new AbortController();
    for (let base = 3; base < 8; base++)
      ask(writer.append([batch({ base })], base === 5 ? { base, signal: giveUp.signal } : { base }));
    giveUp.abort();
    ask(writer.ready(1024), writer.flush());
    if (i === 1) ask(writer.seal(), engine.recover('s-1', { epoch: 2 }));
  }
  ask(open(engine, { id: 's-9' }), engine.delete('s-2'), engine.recover('nobody', { epoch: 1 }));
  const options = { base: 0, end: 1, epoch: 1, state: new Uint8Array(0), uid: 'u' };
  ask(engine.ingest('in', options, chunks(batch())));
  ask(
    engine.ingest(
      'in-2',
      options,
      // biome-ignore lint/correctness/useYield: a source that fails before it gives anything
      (async function* (): AsyncGenerator<Uint8Array> {
        throw new Error('the source is gone');
      })(),
    ),
  );
  await Promise.all(calls.slice(0, calls.length >> 1));
  ask(instance.close());
  await Promise.all(calls);
  plan.release();
  await instance.close().catch(() => {});
}
