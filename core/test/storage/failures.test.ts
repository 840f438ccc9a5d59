import { crc32c } from '@node-rs/crc32';
import {
  type EngineDefinition,
  type EngineInstance,
  type Meta,
  type MetaCommitResult,
  type MetaMutation,
  type SegmentWriter,
  type StorageEngine,
  StorageError,
} from '@robustmq/core';
import { MemoryMeta, SeededRandom } from '@robustmq/core/testing';
import memoryEngine from '@robustmq/engine-memory';
import { afterEach, describe, expect, it } from 'vitest';
import { batch, type Node, openInstanceOf, openMemoryInstance, openNode, readAll, shardOf } from './harness.ts';

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});

async function node(options: Parameters<typeof openNode>[0] = {}): Promise<Node> {
  const opened = await openNode(options);
  nodes.push(opened);
  return opened;
}

/** What happens to the next append of a segment: it is applied or not, and its caller is told nothing certain. */
type Fate = 'fine' | 'applied, reply lost' | 'not applied' | 'disk full' | 'must roll';

/** The memory engine with a switch for each append and each recovery. */
async function flakyInstance(
  meta: Meta,
  fate: () => Fate,
  recovers: () => boolean = () => true,
): Promise<EngineInstance> {
  const definition: EngineDefinition = {
    ...(memoryEngine as EngineDefinition),
    open: async (ctx) => flaky(await (memoryEngine as EngineDefinition).open(ctx), fate, recovers),
  };
  return openInstanceOf(definition, 'memory', meta);
}

/** The memory engine with its writers wrapped. */
function wrappedInstance(meta: Meta, wrap: (writer: SegmentWriter) => SegmentWriter): Promise<EngineInstance> {
  const open: EngineDefinition['open'] = async (ctx) => {
    const engine = await (memoryEngine as EngineDefinition).open(ctx);
    return {
      ...flaky(
        engine,
        () => 'fine',
        () => true,
      ),
      create: async (id, options) => wrap(await engine.create(id, options)),
    };
  };
  return openInstanceOf({ ...(memoryEngine as EngineDefinition), open }, 'memory', meta);
}

/** The writer's methods, as an object that can be spread. */
function bound(writer: SegmentWriter): SegmentWriter {
  return flakyWriter(writer, () => 'fine');
}

function flaky(engine: StorageEngine, fate: () => Fate, recovers: () => boolean): StorageEngine {
  return {
    incarnation: engine.incarnation,
    create: async (id, options) => flakyWriter(await engine.create(id, options), fate),
    recover: async (id, options) => {
      if (!recovers()) throw new StorageError('IO_ERROR', 'the disk does not answer', { retryable: true });
      return engine.recover(id, options);
    },
    ingest: (id, options, batches) => engine.ingest(id, options, batches),
    openReader: (id) => engine.openReader(id),
    delete: (id) => engine.delete(id),
    list: (options) => engine.list(options),
    close: () => engine.close(),
  };
}

function flakyWriter(writer: SegmentWriter, fate: () => Fate): SegmentWriter {
  let failed = false;
  const failure = () => new StorageError('WRITER_FAILED', 'the connection broke');
  return {
    offsets: () => writer.offsets(),
    state: () => writer.state(),
    read: (from, options) => writer.read(from, options),
    offsetForTimestamp: (timestamp) => writer.offsetForTimestamp(timestamp),
    close: () => writer.close(),
    ready: (bytes) => writer.ready(bytes),
    flush: () => writer.flush(),
    seal: () => (failed ? Promise.reject(failure()) : writer.seal()),
    append: async (batches, options) => {
      if (failed) throw failure();
      const what = fate();
      if (what === 'disk full') throw new StorageError('DISK_FULL', 'no room');
      if (what === 'must roll') throw new StorageError('SEGMENT_MUST_ROLL', 'another segment, please');
      if (what === 'not applied') {
        failed = true;
        throw failure();
      }
      const result = await writer.append(batches, options);
      if (what === 'applied, reply lost') {
        failed = true;
        throw failure();
      }
      return result;
    },
  };
}

describe('Shard whose writer fails', () => {
  it('dispatches again what was not applied, and nothing that was, whatever fails when', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new SeededRandom(seed);
      const meta = new MemoryMeta();
      const fate = (): Fate => {
        const dice = random.next();
        if (dice < 0.1) return 'applied, reply lost';
        if (dice < 0.2) return 'not applied';
        return dice < 0.3 ? 'must roll' : 'fine';
      };
      const engines = new Map([['memory', await flakyInstance(meta, fate)]]);
      const { storage } = await node({ meta, engines });
      const shard = await shardOf(storage, 't');
      const appends = Array.from({ length: 60 }, (_, i) => shard.append([batch([`${i}`], { id: 1, sequence: i })]));
      const results = await Promise.all(appends);
      expect(
        results.map((r) => r.base),
        `seed ${seed}`,
      ).toEqual(Array.from({ length: 60 }, (_, i) => i));
      expect(await readAll(shard), `seed ${seed}`).toEqual(Array.from({ length: 60 }, (_, i) => `${i}:${i}`));
    }
  });

  it('refuses with DISK_FULL and goes on without a hole when there is room again', async () => {
    const meta = new MemoryMeta();
    let full = false;
    const engines = new Map([['memory', await flakyInstance(meta, () => (full ? 'disk full' : 'fine'))]]);
    const { storage } = await node({ meta, engines });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    full = true;
    const refused = await Promise.allSettled([shard.append([batch(['b'])]), shard.append([batch(['c'])])]);
    for (const result of refused)
      expect(result).toMatchObject({ reason: { code: 'DISK_FULL', outcome: 'none', retryable: true } });
    full = false;
    expect(await shard.append([batch(['d'])])).toMatchObject({ base: 1 });
    expect(await readAll(shard)).toEqual(['0:a', '1:d']);
  });

  it('keeps an append waiting while its segment can not be recovered, and gives up with outcome unknown', async () => {
    const meta = new MemoryMeta();
    let broken = true;
    let fates: Fate[] = ['fine', 'applied, reply lost'];
    const engines = new Map([
      [
        'memory',
        await flakyInstance(
          meta,
          () => fates.shift() ?? 'fine',
          () => !broken,
        ),
      ],
    ]);
    const { storage } = await node({ meta, engines, tuning: { recoverTimeoutMs: 300 } });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    await expect(shard.append([batch(['b'])])).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' });
    expect(storage.status().ready).toBe(false);
    const waiting = shard.append([batch(['c'])]);
    broken = false;
    fates = [];
    expect(await waiting).toMatchObject({ base: 2 });
    expect(storage.status().ready).toBe(true);
    expect(await readAll(shard)).toEqual(['0:a', '1:b', '2:c']);
  });

  it('gives up an append that no writer takes, although each failed one is recovered, and says why', async () => {
    const meta = new MemoryMeta();
    let refuses = false;
    const denied = (): Promise<never> =>
      new Promise((_, reject) =>
        setTimeout(
          () => reject(new StorageError('STORE_DENIED', 'not yours', { retryable: true, outcome: 'unknown' })),
          100,
        ),
      );
    const engines = new Map([
      [
        'memory',
        await wrappedInstance(meta, (writer) => {
          const inner = bound(writer);
          return { ...inner, append: (base, batches) => (refuses ? denied() : inner.append(base, batches)) };
        }),
      ],
    ]);
    const { storage } = await node({ meta, engines, tuning: { recoverTimeoutMs: 300 } });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    refuses = true;
    await expect(shard.append([batch(['b'])])).rejects.toMatchObject({
      code: 'TIMEOUT',
      outcome: 'none',
      cause: { code: 'STORE_DENIED' },
    });
    refuses = false;
    expect(await shard.append([batch(['c'])])).toMatchObject({ base: 1 });
    expect(await readAll(shard)).toEqual(['0:a', '1:c']);
  });

  it('goes on behind what an operator has given up, and never uses its offsets again', async () => {
    const meta = new MemoryMeta();
    let fates: Fate[] = ['fine', 'not applied'];
    const lost = () => new StorageError('CORRUPT', 'a proven batch is damaged');
    let damaged = true;
    const recovers = () => {
      if (damaged) throw lost();
      return true;
    };
    const engines = new Map([['memory', await flakyInstance(meta, () => fates.shift() ?? 'fine', recovers)]]);
    const { storage } = await node({ meta, engines });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    await expect(shard.append([batch(['b'])])).rejects.toMatchObject({ code: 'CORRUPT', outcome: 'unknown' });
    await expect(shard.append([batch(['c'])])).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(storage.status().problems).toMatchObject([{ code: 'CORRUPT', where: 't/0' }]);
    fates = [];
    const given = await storage.acceptLosses('t');
    expect(given).toMatchObject([{ shard: 0, base: 0 }]);
    damaged = false;
    const after = await shard.append([batch(['d'])]);
    expect(after.base).toBe(given[0]?.end);
    expect(after.base).toBeGreaterThan(1);
    expect(await readAll(shard)).toEqual([`${after.base}:d`]);
    expect(storage.status().ready).toBe(true);
  });

  it('recovers a writer that refuses credit, and lets the event loop live while every new one does so too', async () => {
    const meta = new MemoryMeta();
    let broken = false;
    const refusal = () => Promise.reject(new StorageError('WRITER_FAILED', 'failed while nothing was in flight'));
    const engines = new Map([
      [
        'memory',
        await wrappedInstance(meta, (writer) => ({
          ...bound(writer),
          ready: (n) => (broken ? refusal() : writer.ready(n)),
        })),
      ],
    ]);
    const { storage } = await node({ meta, engines });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    broken = true;
    const waiting = shard.append([batch(['b'])]);
    // a timer runs: this was an endless chain of microtasks once
    await new Promise((resolve) => setTimeout(resolve, 200));
    broken = false;
    expect(await waiting).toMatchObject({ base: 1 });
    expect(await readAll(shard)).toEqual(['0:a', '1:b']);
  });

  it('does not take a later batch of a producer for its first while an earlier one was refused', async () => {
    const meta = new MemoryMeta();
    const fates: Fate[] = ['fine', 'disk full'];
    const engines = new Map([['memory', await flakyInstance(meta, () => fates.shift() ?? 'fine')]]);
    const { storage } = await node({ meta, engines });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['warm'])]);
    await expect(shard.append([batch(['zero'], { id: 9, sequence: 0 })])).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(shard.append([batch(['one'], { id: 9, sequence: 1 })])).rejects.toMatchObject({
      code: 'SEQUENCE_GAP',
    });
    expect(await shard.append([batch(['zero'], { id: 9, sequence: 0 })])).toMatchObject({ base: 1, duplicate: false });
    expect(await shard.append([batch(['one'], { id: 9, sequence: 1 })])).toMatchObject({ base: 2, duplicate: false });
    // what lies behind all that is remembered is no duplicate either: nobody has that batch in hand
    for (let i = 2; i < 12; i++) await shard.append([batch([`${i}`], { id: 9, sequence: i })]);
    await expect(shard.append([batch(['zero'], { id: 9, sequence: 0 })])).rejects.toMatchObject({
      code: 'SEQUENCE_GAP',
    });
  });

  it('goes on in order when one append is refused with others behind it in flight', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new SeededRandom(seed);
      const meta = new MemoryMeta();
      const engines = new Map([
        ['memory', await flakyInstance(meta, () => (random.next() < 0.2 ? 'disk full' : 'fine'))],
      ]);
      const { storage } = await node({ meta, engines });
      const shard = await shardOf(storage, 't');
      const stored: string[] = [];
      const send = async (text: string): Promise<void> => {
        try {
          const { base } = await shard.append([batch([text])]);
          stored[base] = `${base}:${text}`;
        } catch (error) {
          expect(error, `seed ${seed}`).toMatchObject({ code: 'DISK_FULL', outcome: 'none' });
          await send(text);
        }
      };
      await Promise.all(Array.from({ length: 40 }, (_, i) => send(`${i}`)));
      expect(stored.length, `seed ${seed}`).toBe(40);
      expect(await readAll(shard), `seed ${seed}`).toEqual(stored);
    }
  });

  it('ends every wait while Meta is away: by time, by the signal, and says what is wrong', async () => {
    const inner = new MemoryMeta();
    let away = false;
    const meta: Meta = {
      get: (key) => inner.get(key),
      list: (options) => inner.list(options),
      watch: (options) => inner.watch(options),
      commitEach: (mutations) => inner.commitEach(mutations),
      commit: (mutation) =>
        away ? Promise.reject(new StorageError('META_UNAVAILABLE', 'nobody answers')) : inner.commit(mutation),
    };
    const { storage } = await node({ meta, tuning: { recoverTimeoutMs: 1500 } });
    const shard = await shardOf(storage, 't');
    away = true;
    const abort = new AbortController();
    const aborted = shard.append([batch(['a'])], { signal: abort.signal });
    const timedOut = shard.append([batch(['b'])]);
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', outcome: 'none' });
    await expect(timedOut).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'none' });
    await expect
      .poll(() => storage.status().problems, { timeout: 6000 })
      .toMatchObject([{ code: 'META_UNAVAILABLE', where: 't/0' }]);
    away = false;
    expect(await shard.append([batch(['c'])])).toMatchObject({ base: 0 });
    await expect.poll(() => storage.status().ready).toBe(true);
  });

  it('does not let an alter or a drain wait for a shard that waits for a person', async () => {
    const meta = new MemoryMeta();
    const fates: Fate[] = ['fine', 'not applied'];
    const recovers = () => {
      throw new StorageError('CORRUPT', 'a proven batch is damaged');
    };
    const engines = new Map([
      ['memory', await flakyInstance(meta, () => fates.shift() ?? 'fine', recovers)],
      ['other', await openMemoryInstance('other', meta)],
    ]);
    const { storage } = await node({ meta, engines });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    await expect(shard.append([batch(['b'])])).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(storage.alterTopic('t', { engine: 'other' })).rejects.toMatchObject({ code: 'CORRUPT' });
    await storage.drain();
  });

  it('shows no reader what the engine has committed and the shard has not', async () => {
    const meta = new MemoryMeta();
    const fates: Fate[] = ['fine', 'applied, reply lost'];
    let recovers = false;
    const engines = new Map([
      [
        'memory',
        await flakyInstance(
          meta,
          () => fates.shift() ?? 'fine',
          () => recovers,
        ),
      ],
    ]);
    const { storage } = await node({ meta, engines });
    const shard = await shardOf(storage, 't');
    await shard.append([batch(['a'])]);
    const doubtful = shard.append([batch(['b'])]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await shard.read(0, { maxBytes: 10_000 })).toMatchObject({ next: 1, offsets: { committed: 1 } });
    recovers = true;
    expect(await doubtful).toMatchObject({ base: 1 });
    expect(await readAll(shard)).toEqual(['0:a', '1:b']);
  });

  it('refuses a few bytes that claim to be millions of records', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    const lying = batch(['a']);
    const view = new DataView(lying.buffer, lying.byteOffset);
    view.setInt32(23, 999_999);
    view.setInt32(57, 1_000_000);
    view.setUint32(17, crc32c(lying.subarray(21)));
    await expect(shard.append([lying])).rejects.toMatchObject({ code: 'BATCH_INVALID' });
  });

  it('reads up to a damaged batch, says so on its status, and makes the segment a hole when an operator gives it up', async () => {
    const meta = new MemoryMeta();
    let damaged = false;
    const spoil = (bytes: Uint8Array) => {
      const copy = Uint8Array.from(bytes);
      if (damaged) copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
      return copy;
    };
    const open: EngineDefinition['open'] = async (ctx) => {
      const engine = await (memoryEngine as EngineDefinition).open(ctx);
      const openReader: StorageEngine['openReader'] = async (id) => {
        const reader = await engine.openReader(id);
        return {
          offsets: () => reader.offsets(),
          state: () => reader.state(),
          offsetForTimestamp: (timestamp) => reader.offsetForTimestamp(timestamp),
          close: () => reader.close(),
          read: async (from, options) => {
            const { bytes, next } = await reader.read(from, options);
            return { bytes: spoil(bytes), next };
          },
        };
      };
      return {
        ...flaky(
          engine,
          () => 'fine',
          () => true,
        ),
        openReader,
      };
    };
    const definition = { ...(memoryEngine as EngineDefinition), open };
    const engines = new Map([['memory', await openInstanceOf(definition, 'memory', meta)]]);
    // the first life seals what it wrote, so that the second one reads it through readers
    const first = await openNode({ meta, engines });
    const written = await shardOf(first.storage, 't');
    for (const value of ['a', 'b', 'c']) await written.append([batch([value])]);
    await first.storage.drain();
    await first.close();
    damaged = true;
    const { storage } = await node({ meta, engines });
    const shard = await shardOf(storage, 't');
    expect(await shard.read(0, { maxBytes: 10_000 })).toMatchObject({ next: 2 });
    await expect(shard.read(2, { maxBytes: 10_000 })).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(storage.status().problems).toMatchObject([{ code: 'CORRUPT', where: 't/0' }]);
    expect(await storage.acceptLosses('t')).toMatchObject([{ shard: 0, base: 0, end: 3 }]);
    expect(await storage.acceptLosses('t')).toEqual([]);
    expect(storage.status().ready).toBe(true);
    damaged = false;
    expect(await shard.append([batch(['d'])])).toMatchObject({ base: 3 });
    expect(await readAll(shard)).toEqual(['3:d']);
  });

  it('aborts an append that was not admitted, and only the wait of one that was', async () => {
    const { storage } = await node();
    const shard = await shardOf(storage, 't');
    await expect(shard.append([batch(['a'])], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
      outcome: 'none',
    });
    const abort = new AbortController();
    const queued = shard.append([batch(['b'])], { signal: abort.signal });
    abort.abort();
    await expect(queued).rejects.toMatchObject({ code: 'ABORTED', outcome: 'none' });
    expect(await readAll(shard)).toEqual([]);
  });
});

/** Meta from which every answer takes its time, or gets lost once. */
class SlowMeta implements Meta {
  readonly #inner: Meta;
  readonly #delayMs: number;
  readonly #loses: () => boolean;
  commits = 0;

  constructor(inner: Meta, delayMs: number, loses: () => boolean = () => false) {
    this.#inner = inner;
    this.#delayMs = delayMs;
    this.#loses = loses;
  }

  async get(key: string) {
    await this.#wait();
    return this.#inner.get(key);
  }

  async list(options: Parameters<Meta['list']>[0]) {
    await this.#wait();
    return this.#inner.list(options);
  }

  async commit(mutation: MetaMutation): Promise<MetaCommitResult> {
    this.commits++;
    await this.#wait();
    const result = await this.#inner.commit(mutation);
    if (this.#loses()) throw new StorageError('META_UNAVAILABLE', 'the reply was lost');
    return result;
  }

  async commitEach(mutations: readonly MetaMutation[]): Promise<MetaCommitResult[]> {
    await this.#wait();
    return this.#inner.commitEach(mutations);
  }

  watch(options: Parameters<Meta['watch']>[0]) {
    return this.#inner.watch(options);
  }

  #wait(): Promise<void> {
    return this.#delayMs === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, this.#delayMs));
  }
}

describe('Shard with a Meta that is far away', () => {
  it('makes no more Meta commits for ten times the appends', async () => {
    const commits: number[] = [];
    for (const appends of [300, 3000]) {
      const meta = new SlowMeta(new MemoryMeta(), 200);
      const { storage } = await node({ meta });
      const shard = await shardOf(storage, 't');
      await shard.append([batch(['first'])]);
      const reading = shard.read(1, { maxBytes: 1000, maxWaitMs: 5000 });
      for (let i = 0; i < appends; i++) await shard.append([batch([`${i}`])]);
      expect((await reading).bytes).toBeGreaterThan(0);
      commits.push(meta.commits);
    }
    expect(commits[1]).toBe(commits[0]);
  });

  it('rolls without losing order while Meta is slow and loses replies', async () => {
    const random = new SeededRandom(11);
    const meta = new SlowMeta(new MemoryMeta(), 2, () => random.next() < 0.2);
    const { storage } = await node({ meta, defaults: { segment: { bytes: 16 * 1024, ms: 3_600_000 } } });
    // creating a topic is the caller's to send again
    const shard = await expect
      .poll(async () => shardOf(storage, 't').catch(() => undefined))
      .toBeDefined()
      .then(() => shardOf(storage, 't'));
    const value = 'x'.repeat(2000);
    const appends = Array.from({ length: 200 }, (_, i) => shard.append([batch([`${i}${value}`])]));
    const results = await Promise.all(appends);
    expect(results.map((r) => r.base)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(await readAll(shard)).toEqual(Array.from({ length: 200 }, (_, i) => `${i}:${i}${value}`));
  });
});
