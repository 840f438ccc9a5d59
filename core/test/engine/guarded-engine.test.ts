import { crc32c } from '@node-rs/crc32';
import { BATCH_HEADER_BYTES, guardEngine, type IngestOptions, StorageError, unreadMetrics } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, it } from 'vitest';
import { batch, guarded, openWriter, outcome, ScriptedEngine, TestMetrics, tick } from './scripted-engine.ts';

const invalid = { code: 'INVALID_ARGUMENT', outcome: 'none' };
const empty = new Uint8Array(0);
const creation = { base: 0, epoch: 1, config: {}, state: empty };
const ingestion: IngestOptions = { base: 0, end: 5, epoch: 1, state: empty, uid: 'u' };

describe('a guarded engine that creates', () => {
  it.each([
    ['an id', 'a/b', creation],
    ['a base', 's', { ...creation, base: -1 }],
    ['an epoch', 's', { ...creation, epoch: 2 ** 31 }],
    ['a state', 's', { ...creation, state: 'x' }],
    ['settings', 's', { ...creation, config: null }],
    ['settings that are a number', 's', { ...creation, config: 7 }],
  ])('never hands on what is not %s', async (_what, id, options) => {
    const { inner, engine } = guarded();
    inner.answers = { create: () => Promise.reject(new Error('it was called')) };
    expect(await outcome(engine.create(id, options as never))).toMatchObject(invalid);
  });

  it('is not asked to when its engine does not claim to append', async () => {
    const inner = new ScriptedEngine();
    const capabilities = { durability: 'fsync', placement: 'node', append: false, maxBatchBytes: 1024 * 1024 } as const;
    const options = { instance: 'cold', clock: new VirtualClock(), metrics: unreadMetrics };
    const engine = guardEngine(inner, { name: 'tape', capabilities }, options);
    expect(await outcome(engine.create('s', creation))).toMatchObject({ code: 'NOT_SUPPORTED', outcome: 'none' });
  });

  it.each([
    ['begins above', { base: 8, committed: 8, end: 8, sealed: false }],
    ['begins below', { base: 6, committed: 7, end: 7, sealed: false }],
    ['holds something', { base: 7, committed: 7, end: 8, sealed: false }],
    ['is sealed', { base: 7, committed: 7, end: 7, sealed: true }],
  ])('gives out no writer of a new segment that %s, and closes it', async (_what, position) => {
    const metrics = new TestMetrics();
    const { inner, engine } = guarded({ metrics });
    inner.answers = { offsets: () => position };
    expect(await outcome(openWriter(engine, 7))).toMatchObject({ code: 'IO_ERROR' });
    expect(inner.calls).toEqual(['close']);
    expect(metrics.openWriters).toBe(0);
  });

  it('closes a writer that can not say where it is, and says that, whatever the close says', async () => {
    const metrics = new TestMetrics();
    const { inner, engine } = guarded({ metrics });
    const closes: string[] = [];
    inner.answers = {
      offsets: () => {
        throw new Error('no idea');
      },
      close: () => {
        closes.push('close');
        throw new Error('nor that');
      },
    };
    expect(await outcome(openWriter(engine))).toMatchObject({ code: 'IO_ERROR', cause: { message: 'no idea' } });
    expect(closes).toEqual(['close']);
    expect(metrics.openWriters).toBe(0);
  });

  it('closes a writer that was made while the engine closed', async () => {
    const metrics = new TestMetrics();
    const { inner, engine } = guarded({ metrics });
    const opening = outcome(openWriter(engine));
    const closing = engine.close();
    expect(await opening).toMatchObject({ code: 'CLOSED', outcome: 'none' });
    await closing;
    expect(inner.calls).toEqual(['close']);
    expect(metrics.openWriters).toBe(0);
  });
});

describe('a guarded engine that opens a reader', () => {
  it('checks the id', async () => {
    expect(await outcome(guarded().engine.openReader('A'))).toMatchObject(invalid);
  });

  it('gives none out of a segment that is not sealed, and closes it', async () => {
    const { inner, engine } = guarded();
    expect(await outcome(engine.openReader('s'))).toMatchObject({ code: 'IO_ERROR' });
    expect(inner.calls).toEqual(['close']);
  });

  it('closes one that can not say where it is', async () => {
    const { inner, engine } = guarded();
    inner.position = { base: 3, committed: 2, end: 2, sealed: true };
    expect(await outcome(engine.openReader('s'))).toMatchObject({ code: 'CORRUPT' });
    expect(inner.calls).toEqual(['close']);
  });
});

describe('a guarded engine that recovers', () => {
  it('gives the end, and hands on what it was given', async () => {
    const { inner, engine } = guarded();
    const given: unknown[] = [];
    inner.answers = {
      recover: async (...all: unknown[]) => {
        given.push(...all);
        return { end: 9 };
      },
    };
    expect(await engine.recover('s', { epoch: 3 })).toEqual({ end: 9 });
    expect(given).toEqual(['s', { epoch: 3 }]);
  });

  it('checks id and epoch', async () => {
    const { engine } = guarded();
    expect(await outcome(engine.recover('..', { epoch: 1 }))).toMatchObject(invalid);
    expect(await outcome(engine.recover('s', { epoch: -1 }))).toMatchObject(invalid);
  });

  it.each([-1, 0.5, Number.NaN, '3', undefined])('trusts no end of %s', async (end) => {
    const { inner, engine } = guarded();
    inner.answers = { recover: async () => ({ end }) };
    expect(await outcome(engine.recover('s', { epoch: 1 }))).toMatchObject({ code: 'IO_ERROR' });
  });

  it('trusts no answer that is none, and takes the end 0', async () => {
    const { inner, engine } = guarded();
    inner.answers = { recover: async () => undefined };
    expect(await outcome(engine.recover('s', { epoch: 1 }))).toMatchObject({ code: 'IO_ERROR' });
    inner.answers = { recover: async () => ({ end: 0 }) };
    expect(await engine.recover('s', { epoch: 1 })).toEqual({ end: 0 });
  });
});

describe('a guarded engine that takes a segment in', () => {
  const headers = (...given: Uint8Array[]) =>
    given.reduce((crc, bytes) => crc32c(bytes.subarray(0, BATCH_HEADER_BYTES), crc), 0);

  it.each([
    ['an id', 'S', ingestion],
    ['a base', 's', { ...ingestion, base: -1 }],
    ['an end', 's', { ...ingestion, end: 0.5 }],
    ['an end at or above the base', 's', { ...ingestion, base: 6 }],
    ['an epoch', 's', { ...ingestion, epoch: 0.5 }],
    ['a state', 's', { ...ingestion, state: undefined }],
    ['a uid', 's', { ...ingestion, uid: 7 }],
    ['a uid with a character', 's', { ...ingestion, uid: '' }],
    ['a uid of at most 128 characters', 's', { ...ingestion, uid: 'u'.repeat(129) }],
  ])('never hands on what has not %s', async (_what, id, options) => {
    const { inner, engine } = guarded();
    inner.answers = { ingest: () => Promise.reject(new Error('it was called')) };
    expect(await outcome(engine.ingest(id, options as never, chunks()))).toMatchObject(invalid);
  });

  it('takes an empty segment, and the longest uid', async () => {
    const { engine } = guarded();
    const options = { ...ingestion, end: 0, uid: 'u'.repeat(128) };
    expect(await engine.ingest('s', options, chunks())).toEqual({ bytes: 0, crc: 0 });
  });

  it('passes every batch on as it is, empty chunks left out, and takes the right digest only', async () => {
    const { inner, engine } = guarded();
    const passed: Uint8Array[] = [];
    const given = [batch(0), batch(2, 2)];
    const right = { bytes: 200, crc: headers(...given) };
    let said: unknown = right;
    inner.answers = {
      ingest: (_id: string, _options: unknown, source: AsyncIterable<Uint8Array>) =>
        takeAll(source, passed).then(() => said),
    };
    const again = () => engine.ingest('s', ingestion, chunks(...given.slice(0, 1), empty, ...given.slice(1)));
    expect(await again()).toEqual(right);
    expect(passed).toEqual(given);
    for (const wrong of [{ ...right, bytes: 199 }, { ...right, crc: right.crc + 1 }, undefined]) {
      said = wrong;
      expect(await outcome(again())).toMatchObject({ code: 'IO_ERROR', message: expect.stringContaining('200') });
    }
  });

  it('takes several batches in one chunk, up to the largest and up to the end', async () => {
    const { inner, engine } = guarded();
    const given = Buffer.concat([batch(0, 2), batch(3, 2, 1024 * 1024)]);
    const crc = headers(given.subarray(0, 100), given.subarray(100));
    inner.answers = {
      ingest: (_id: string, _options: unknown, source: AsyncIterable<Uint8Array>) =>
        takeAll(source).then(() => ({ bytes: given.length, crc })),
    };
    expect(await engine.ingest('s', ingestion, chunks(given))).toEqual({ bytes: given.length, crc });
  });

  it.each([
    ['below the base', [batch(0)], { ...ingestion, base: 1 }, 'BATCH_INVALID'],
    ['that goes back', [batch(1), batch(1)], ingestion, 'BATCH_INVALID'],
    ['that overlaps', [batch(0, 3), batch(2)], ingestion, 'BATCH_INVALID'],
    ['past the end', [batch(4, 2)], ingestion, 'BATCH_INVALID'],
    ['of no safe offset', [batch(2 ** 53)], { ...ingestion, end: 2 ** 52 }, 'BATCH_INVALID'],
    ['that is too large', [batch(0, 1, 1024 * 1024 + 1)], ingestion, 'BATCH_TOO_LARGE'],
    ['that is cut', [batch(0).subarray(0, 99)], ingestion, 'BATCH_INVALID'],
    ['with a flipped bit', [flip(batch(0), 80)], ingestion, 'BATCH_INVALID'],
    ['that is text', ['batch'], ingestion, 'INVALID_ARGUMENT'],
  ])('refuses a batch %s by its own name, and lets the engine see none of it', async (_what, given, options, code) => {
    const { inner, engine } = guarded();
    const passed: Uint8Array[] = [];
    // whatever the engine makes of the failure, the caller hears what was wrong
    inner.answers = {
      ingest: (_id: string, _options: unknown, source: AsyncIterable<Uint8Array>) =>
        takeAll(source, passed).catch(() => Promise.reject(new Error('hm'))),
    };
    expect(await outcome(engine.ingest('s', options, chunks(...(given as Uint8Array[]))))).toMatchObject({ code });
    expect(passed.length).toBe(given.length - 1);
  });

  it('fails an engine that publishes although the source failed', async () => {
    const { inner, engine } = guarded();
    inner.answers = {
      ingest: (_id: string, _options: unknown, source: AsyncIterable<Uint8Array>) =>
        takeAll(source).then(ignore, () => ({ bytes: 0, crc: 0 })),
    };
    const source = (async function* () {
      yield batch(0);
      throw new Error('the source is gone');
    })();
    expect(await outcome(engine.ingest('s', ingestion, source))).toMatchObject({
      code: 'IO_ERROR',
      message: expect.stringContaining('contract'),
    });
  });

  it('takes the word of an engine that knows the uid already and reads nothing', async () => {
    const { inner, engine } = guarded();
    inner.answers = { ingest: async () => ({ bytes: 100, crc: 5 }) };
    expect(await engine.ingest('s', ingestion, chunks(batch(0)))).toEqual({ bytes: 100, crc: 5 });
  });

  it('gives the failure of the engine when the source is fine', async () => {
    const { inner, engine } = guarded();
    inner.answers = { ingest: () => Promise.reject(new StorageError('DISK_FULL', 'no room')) };
    expect(await outcome(engine.ingest('s', ingestion, chunks(batch(0))))).toMatchObject({ code: 'DISK_FULL' });
  });

  it.each([undefined, null, { bytes: -1, crc: 0 }, { bytes: 0.5, crc: 0 }, { bytes: 0, crc: -1 }, { bytes: 0 }])(
    'trusts no answer of %j to an ingest that it knows already',
    async (said) => {
      const { inner, engine } = guarded();
      inner.answers = { ingest: async () => said };
      expect(await outcome(engine.ingest('s', ingestion, chunks(batch(0))))).toMatchObject({ code: 'IO_ERROR' });
    },
  );
});

describe('a guarded engine that lists', () => {
  it('gives what lies behind the prefix and after the last page', async () => {
    const { inner, engine } = guarded();
    inner.listed = ['a-2', 'a-3'];
    expect(await engine.list({ prefix: 'a-', after: 'a-1', limit: 2 })).toEqual(['a-2', 'a-3']);
    inner.listed = [];
    expect(await engine.list({ prefix: '', limit: 10_000 })).toEqual([]);
  });

  it.each([
    { prefix: 'A', limit: 1 },
    { prefix: 7, limit: 1 },
    { prefix: '', limit: 0 },
    { prefix: '', limit: 10_001 },
    { prefix: '', limit: 1.5 },
    { prefix: '', limit: 1, after: 'A' },
  ])('checks %j', async (options) => {
    expect(await outcome(guarded().engine.list(options as never))).toMatchObject(invalid);
  });

  it.each([[['a-1']], [['a-0']], [[7]], [[null]]])('trusts no %j after a-1', async (listed) => {
    const { inner, engine } = guarded();
    inner.listed = listed;
    expect(await outcome(engine.list({ prefix: 'a-', after: 'a-1', limit: 3 }))).toMatchObject({ code: 'IO_ERROR' });
  });
});

describe('a guarded engine', () => {
  it('passes a deletion on, by a right id only', async () => {
    const { inner, engine } = guarded();
    const deleted: unknown[] = [];
    inner.answers = { delete: async (...all: unknown[]) => void deleted.push(...all) };
    await engine.delete('s');
    expect(deleted).toEqual(['s']);
  });

  it('does its housekeeping within a budget, and needs none', async () => {
    const { inner, engine } = guarded();
    const { signal } = new AbortController();
    await engine.maintain?.({ requestBudget: 0, signal });
    const given: unknown[] = [];
    inner.answers = { maintain: async (...all: unknown[]) => void given.push(...all) };
    await engine.maintain?.({ requestBudget: 3, signal });
    expect(given).toEqual([{ requestBudget: 3, signal }]);
    for (const requestBudget of [-1, Number.NaN, 'x'])
      expect(await outcome(engine.maintain?.({ requestBudget, signal } as never))).toMatchObject(invalid);
  });

  it('says CLOSED to everything once it is, and closes once', async () => {
    const { inner, engine } = guarded();
    const { signal } = new AbortController();
    inner.position = { base: 0, committed: 5, end: 5, sealed: true };
    const reader = await engine.openReader('s');
    const first = engine.close();
    expect(engine.close()).toBe(first);
    await first;
    expect(inner.closes).toBe(1);
    for (const call of [
      () => engine.create('s', creation),
      () => engine.recover('s', { epoch: 1 }),
      () => engine.ingest('s', ingestion, chunks()),
      () => engine.openReader('s'),
      () => engine.delete('s'),
      () => engine.list({ prefix: '', limit: 1 }),
      () => engine.maintain?.({ requestBudget: 1, signal }),
      () => reader.read(0, { maxBytes: 1 }),
      () => reader.state(),
      () => reader.offsetForTimestamp(1),
    ])
      expect(await outcome(call())).toMatchObject({ code: 'CLOSED', outcome: 'none' });
  });

  it('settles what its writers wait for even when the engine fails to close', async () => {
    const metrics = new TestMetrics();
    const { inner, engine, clock } = guarded({ metrics });
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    inner.answers = {
      close: () => {
        throw new Error('stuck');
      },
    };
    const closing = outcome(engine.close());
    await tick();
    await clock.advance(1000);
    expect(await closing).toMatchObject({ code: 'IO_ERROR', cause: { message: 'stuck' } });
    expect(await append).toMatchObject({ code: 'CLOSED', outcome: 'unknown' });
    expect(metrics.openWriters).toBe(0);
    expect(metrics.inFlightBytes).toBe(0);
  });

  it('counts failures by code, those of its own finding too, and leaves a typed error what it is', async () => {
    const metrics = new TestMetrics();
    const { inner, engine } = guarded({ metrics });
    const typed = new StorageError('SEGMENT_LOST', 'gone');
    inner.answers = { openReader: () => Promise.reject(typed) };
    expect(await outcome(engine.openReader('s'))).toBe(typed);
    expect(await outcome(engine.openReader('s'))).toBe(typed);
    inner.answers = { recover: async () => ({ end: -1 }), delete: () => Promise.reject('a text') };
    await outcome(engine.recover('s', { epoch: 1 }));
    expect(await outcome(engine.delete('s'))).toMatchObject({ hint: expect.stringContaining('a text') });
    expect(metrics.counters.get('robust_engine_errors_total SEGMENT_LOST')?.value).toBe(2);
    expect(metrics.counters.get('robust_engine_errors_total IO_ERROR')?.value).toBe(2);
  });

  it('has the incarnation of its engine', () => {
    const { inner, engine } = guarded();
    inner.incarnation = 'disk-7';
    expect(engine.incarnation).toBe('disk-7');
  });
});

async function* chunks(...given: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* given;
}

async function takeAll(source: AsyncIterable<Uint8Array>, into: Uint8Array[] = []): Promise<void> {
  for await (const chunk of source) into.push(chunk);
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

function ignore(): void {}
