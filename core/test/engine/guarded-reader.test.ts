import { MAX_STATE_BYTES } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import { batch, guarded, openWriter, outcome, TestMetrics } from './scripted-engine.ts';

const corrupt = { code: 'CORRUPT' };

describe('a guarded reader', () => {
  it('passes on what is whole, in order and committed', async () => {
    const { inner, engine } = guarded();
    inner.position = { base: 0, committed: 5, end: 5, sealed: true };
    const reader = await engine.openReader('s');
    inner.stored = { bytes: Buffer.concat([batch(1, 2), batch(3, 2)]), next: 5 };
    expect(await reader.read(2, { maxBytes: 10_000 })).toBe(inner.stored);
  });

  it.each([
    ['a flipped bit', [flip(batch(0), 80)], 0],
    ['a batch cut in two', [batch(0).subarray(0, 70)], 0],
    ['a tail that is no batch', [batch(0), new Uint8Array(5)], 0],
    ['a batch below the one asked for', [batch(0)], 1],
    ['offsets that go back', [batch(1), batch(0)], 1],
    ['a batch past committed', [batch(3), batch(4), batch(5)], 3],
    ['a batch that is not of this segment', [batch(7)], 3],
    ['nothing where something is committed', [], 3],
  ])('says CORRUPT, with segment and position, for %s', async (_what, stored, from) => {
    const { inner, engine } = guarded();
    inner.position = { base: 0, committed: 5, end: 5, sealed: true };
    const reader = await engine.openReader('s-77');
    const bytes = Buffer.concat(stored);
    inner.stored = { bytes, next: 4 };
    const read = reader.read(from, { maxBytes: 10_000 });
    await expect(read).rejects.toMatchObject({ ...corrupt, where: expect.stringContaining('s-77') });
  });

  it('knows that an appended segment has no holes, and that an ingested one may', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.position = { base: 0, committed: 9, end: 9, sealed: true };
    inner.stored = { bytes: Buffer.concat([batch(2), batch(5)]), next: 6 };
    const reader = await engine.openReader('s');
    expect((await reader.read(1, { maxBytes: 10_000 })).next).toBe(6);
    await expect(writer.read(2, { maxBytes: 10_000 })).rejects.toMatchObject(corrupt);
    inner.stored = { bytes: new Uint8Array(0), next: 9 };
    expect((await reader.read(6, { maxBytes: 1 })).next).toBe(9);
    await expect(writer.read(6, { maxBytes: 1 })).rejects.toMatchObject(corrupt);
  });

  it('never lets committed go back, nor a sealed segment change', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.position = { base: 0, committed: 5, end: 6, sealed: false };
    expect(writer.offsets().committed).toBe(5);
    inner.position = { base: 0, committed: 4, end: 6, sealed: false };
    expect(() => writer.offsets()).toThrow(/went back from 5 to 4/);
    inner.position = { base: 0, committed: 5, end: 6, sealed: true };
    expect(() => writer.offsets()).toThrow(/sealed/);
  });

  it('refuses offsets out of range with the range, and arguments that are none', async () => {
    const { inner, engine } = guarded();
    inner.position = { base: 10, committed: 15, end: 15, sealed: true };
    const reader = await engine.openReader('s');
    await expect(reader.read(9, { maxBytes: 1 })).rejects.toMatchObject({
      code: 'OFFSET_TRIMMED',
      offsets: { start: 10, end: 15 },
    });
    await expect(reader.read(16, { maxBytes: 1 })).rejects.toMatchObject({ code: 'OFFSET_BEYOND_END' });
    for (const from of [-1, 0.5, Number.NaN, 2 ** 60])
      await expect(reader.read(from, { maxBytes: 1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(reader.read(10, { maxBytes: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(reader.offsetForTimestamp(0.5)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(reader.read(10, { maxBytes: 1, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    await reader.close();
    await expect(reader.read(10, { maxBytes: 1 })).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('what a guarded reader is told of itself', () => {
  const sound = { base: 2, committed: 5, end: 7, sealed: false };
  const told = async (...positions: readonly unknown[]) => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine, 2);
    let said: unknown;
    for (const position of positions) {
      inner.answers = { offsets: () => position };
      said = await outcome((async () => writer.offsets())());
    }
    return said;
  };

  it('is passed on when it is sound', async () => {
    expect(await told(sound)).toBe(sound);
    const empty = { base: 2, committed: 2, end: 2, sealed: true };
    expect(await told(empty, empty)).toBe(empty);
  });

  it.each([
    ['nothing', [undefined]],
    ['null', [null]],
    ['no base', [{ ...sound, base: undefined }]],
    ['half a base', [{ ...sound, base: 1.5 }]],
    ['half a committed', [{ ...sound, committed: 4.5 }]],
    ['half an end', [{ ...sound, end: 6.5 }]],
    ['texts', [{ base: '2', committed: '5', end: '7', sealed: false }]],
    ['an end that is none', [{ ...sound, end: Number.NaN }]],
    ['another base than before', [{ ...sound, base: 3 }]],
    ['committed below base', [{ ...sound, committed: 1 }]],
    ['an end below committed', [{ ...sound, end: 4 }]],
    ['sealed with something in flight', [{ ...sound, sealed: true }]],
    [
      'open again',
      [
        { ...sound, end: 5, sealed: true },
        { ...sound, end: 5 },
      ],
    ],
    [
      'sealed twice at two ends',
      [
        { ...sound, end: 5, sealed: true },
        { ...sound, committed: 7, sealed: true },
      ],
    ],
    ['committed that goes back', [sound, { ...sound, committed: 4 }]],
  ])('is CORRUPT when it is %s', async (_what, positions) => {
    expect(await told(...positions)).toMatchObject(corrupt);
  });

  it('is CORRUPT when the base is negative', async () => {
    const { inner, engine } = guarded();
    inner.position = { base: -1, committed: 5, end: 5, sealed: true };
    await expect(engine.openReader('s')).rejects.toMatchObject(corrupt);
  });
});

describe('a guarded reader that reads', () => {
  const open = async (position = { base: 0, committed: 5, end: 5, sealed: true }) => {
    const metrics = new TestMetrics();
    const scripted = guarded({ metrics });
    scripted.inner.position = position;
    return { ...scripted, metrics, reader: await scripted.engine.openReader('s') };
  };

  it('hands on what it was asked, and counts the bytes', async () => {
    const { inner, reader, metrics } = await open();
    const given: unknown[] = [];
    inner.answers = {
      read: async (...all: unknown[]) => {
        given.push(...all);
        return { bytes: batch(1), next: 2 };
      },
    };
    const options = { maxBytes: Number.MAX_SAFE_INTEGER, signal: new AbortController().signal };
    await reader.read(1, options);
    expect(given).toEqual([1, options]);
    expect(metrics.counters.get('robust_engine_read_bytes_total')?.value).toBe(100);
  });

  it('gives what lies before a wrong CRC, and says CORRUPT at the batch itself', async () => {
    const { inner, reader } = await open();
    inner.stored = { bytes: Buffer.concat([batch(0), batch(1, 2), flip(batch(3), 90), batch(4)]), next: 5 };
    expect(await reader.read(0, { maxBytes: 9999 })).toEqual({
      bytes: Buffer.concat([batch(0), batch(1, 2)]),
      next: 3,
    });
    inner.stored = { bytes: flip(batch(3), 90), next: 4 };
    await expect(reader.read(3, { maxBytes: 9999 })).rejects.toMatchObject(corrupt);
  });

  it.each([
    ['no answer', undefined],
    ['an answer without bytes', { next: 1 }],
    ['bytes that are a list', { bytes: [1], next: 1 }],
    ['another place to go on than the bytes say', { bytes: batch(0), next: 2 }],
    ['no place to go on', { bytes: batch(0) }],
    ['a place to go on past a hole that is none', { bytes: new Uint8Array(0), next: 4 }],
    ['a header that is cut', { bytes: batch(0).subarray(0, 60), next: 1 }],
    ['an offset that no number holds', { bytes: batch(2 ** 53), next: 2 ** 53 + 1 }],
    ['an offset below all', { bytes: batch(-(2 ** 40)), next: 1 }],
    ['a batch across the end', { bytes: batch(4, 2), next: 6 }],
    ['a batch of format 1', { bytes: format1(batch(0)), next: 1 }],
  ])('says CORRUPT for %s', async (_what, answer) => {
    const { inner, reader } = await open();
    inner.answers = { read: async () => answer };
    await expect(reader.read(0, { maxBytes: 9999 })).rejects.toMatchObject(corrupt);
  });

  it('says CORRUPT for batches that overlap', async () => {
    const { inner, reader } = await open();
    inner.stored = { bytes: Buffer.concat([batch(0, 3), batch(2)]), next: 3 };
    await expect(reader.read(0, { maxBytes: 9999 })).rejects.toMatchObject(corrupt);
  });

  it('takes the whole batch that holds the offset, and no batch below the segment', async () => {
    const { inner, reader } = await open({ base: 2, committed: 5, end: 5, sealed: true });
    inner.stored = { bytes: batch(2, 3), next: 5 };
    expect((await reader.read(4, { maxBytes: 1 })).next).toBe(5);
    inner.stored = { bytes: batch(1, 4), next: 5 };
    await expect(reader.read(4, { maxBytes: 1 })).rejects.toMatchObject(corrupt);
  });

  it('gives nothing at the end, and stays there', async () => {
    const { inner, reader } = await open();
    inner.stored = { bytes: new Uint8Array(0), next: 5 };
    expect((await reader.read(5, { maxBytes: 1 })).next).toBe(5);
    inner.stored = { bytes: new Uint8Array(0), next: 6 };
    await expect(reader.read(5, { maxBytes: 1 })).rejects.toMatchObject(corrupt);
  });

  it('sees what was committed while it read', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const answer = later<unknown>();
    inner.answers = { read: () => answer.promise };
    const read = writer.read(0, { maxBytes: 9999 });
    inner.position = { base: 0, committed: 1, end: 1, sealed: false };
    answer.resolve({ bytes: batch(0), next: 1 });
    expect((await read).next).toBe(1);
    const empty = later<unknown>();
    inner.answers = { read: () => empty.promise };
    const atEnd = writer.read(1, { maxBytes: 9999 });
    inner.position = { base: 0, committed: 2, end: 2, sealed: false };
    empty.resolve({ bytes: new Uint8Array(0), next: 1 });
    expect((await atEnd).next).toBe(1);
  });

  it('does not call what was committed while it read damaged when it is closed before the answer', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const answer = later<unknown>();
    inner.answers = { read: () => answer.promise };
    const read = writer.read(0, { maxBytes: 9999 });
    inner.position = { base: 0, committed: 1, end: 1, sealed: false };
    await writer.close();
    answer.resolve({ bytes: batch(0), next: 1 });
    expect((await read).next).toBe(1);
  });

  it('sees nothing past what is committed in an open segment', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.position = { base: 0, committed: 1, end: 2, sealed: false };
    inner.stored = { bytes: Buffer.concat([batch(0), batch(1)]), next: 2 };
    await expect(writer.read(0, { maxBytes: 9999 })).rejects.toMatchObject(corrupt);
  });

  it.each([true, false])('does not go round in circles (sealed: %s)', async (sealed) => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.position = { base: 0, committed: 5, end: 5, sealed };
    const reader = sealed ? await engine.openReader('s') : writer;
    inner.stored = { bytes: new Uint8Array(0), next: 3 };
    await expect(reader.read(3, { maxBytes: 9999 })).rejects.toMatchObject(corrupt);
  });

  it('knows where a sealed segment begins when it is closed before the answer', async () => {
    const { inner, reader } = await open({ base: 2, committed: 5, end: 5, sealed: true });
    inner.answers = { read: async () => ({ bytes: batch(1, 4), next: 5 }) };
    const read = outcome(reader.read(4, { maxBytes: 9999 }));
    await reader.close();
    expect(await read).toMatchObject(corrupt);
  });

  it('still checks a sealed segment when it is closed before the answer', async () => {
    const { inner, reader } = await open();
    const answer = later<unknown>();
    inner.answers = { read: () => answer.promise };
    const reads = [reader.read(4, { maxBytes: 9999 }), outcome(reader.read(4, { maxBytes: 9999 }))] as const;
    await reader.close();
    answer.resolve({ bytes: Buffer.concat([batch(4)]), next: 5 });
    expect((await reads[0]).next).toBe(5);
    const { inner: other, reader: second } = await open();
    other.answers = { read: async () => ({ bytes: batch(4, 2), next: 6 }) };
    const past = outcome(second.read(4, { maxBytes: 9999 }));
    await second.close();
    expect(await past).toMatchObject(corrupt);
  });

  it('types what the engine throws, and what it rejects with', async () => {
    const { inner, reader } = await open();
    const bug = () => {
      throw new TypeError('a bug');
    };
    for (const broken of [bug, () => Promise.reject(new TypeError('a bug'))]) {
      inner.answers = { read: broken, state: broken, offsetForTimestamp: broken };
      for (const call of [reader.read(0, { maxBytes: 1 }), reader.state(), reader.offsetForTimestamp(1)])
        expect(await outcome(call)).toMatchObject({ code: 'IO_ERROR', cause: { message: 'a bug' } });
    }
    inner.answers = { offsets: bug };
    expect(await outcome(reader.read(0, { maxBytes: 1 }))).toMatchObject({ code: 'IO_ERROR' });
  });

  it('closes once, and rejects rather than throws when the engine does', async () => {
    const { inner, reader } = await open();
    inner.answers = {
      close: () => {
        throw new Error('stuck');
      },
    };
    const close = reader.close();
    expect(reader.close()).toBe(close);
    expect(await outcome(close)).toMatchObject({ code: 'IO_ERROR', cause: { message: 'stuck' } });
    expect(await outcome(reader.read(0, { maxBytes: 1 }))).toMatchObject({ code: 'CLOSED' });
    expect(() => reader.offsets()).toThrow('closed');
  });
});

describe('the state of a segment', () => {
  it.each([
    ['a text', 'state'],
    ['nothing', undefined],
    ['more than a MiB', new Uint8Array(MAX_STATE_BYTES + 1)],
  ])('is CORRUPT when it is %s', async (_what, state) => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.answers = { state: async () => state };
    await expect(writer.state()).rejects.toMatchObject(corrupt);
  });

  it('is given as it is, up to a MiB', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const state = new Uint8Array(MAX_STATE_BYTES);
    inner.answers = { state: async () => state };
    expect(await writer.state()).toBe(state);
  });
});

describe('the offset for a timestamp', () => {
  const ask = async (answer: unknown, timestamp = 7) => {
    const { inner, engine } = guarded();
    inner.position = { base: 2, committed: 5, end: 5, sealed: true };
    const reader = await engine.openReader('s');
    inner.answers = { offsetForTimestamp: async (at: number) => (at === timestamp ? answer : 'another question') };
    return await outcome(reader.offsetForTimestamp(timestamp));
  };

  it.each([2, 4, undefined])('may be %s', async (offset) => {
    expect(await ask(offset)).toBe(offset);
  });

  it.each([1, 5, 2.5, '2', null, Number.NaN])('is CORRUPT when it is %s', async (offset) => {
    expect(await ask(offset)).toMatchObject(corrupt);
  });

  it('may be asked for times before 1970', async () => {
    expect(await ask(2, -5)).toBe(2);
  });
});

describe('a guarded engine', () => {
  it.each(['', 'A', 'a/b', '..', 'a'.repeat(129), 'ä'])('refuses %j as a segment id', async (id) => {
    const { engine } = guarded();
    await expect(engine.delete(id)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'none' });
  });

  it('makes a typed error of whatever an engine throws', async () => {
    const { engine } = guarded();
    await expect(engine.delete('s')).rejects.toMatchObject({
      code: 'IO_ERROR',
      cause: { message: 'a foreign one' },
      hint: expect.stringContaining('a foreign one'),
    });
  });

  it.each([
    ['out of order', ['a-2', 'a-1']],
    ['twice the same', ['a-1', 'a-1']],
    ['outside the prefix', ['b-1']],
    ['more than asked for', ['a-1', 'a-2', 'a-3', 'a-4']],
    ['not a list', 'a-1'],
  ])('trusts no list that is %s', async (_what, listed) => {
    const { inner, engine } = guarded();
    inner.listed = listed;
    await expect(engine.list({ prefix: 'a-', limit: 3 })).rejects.toMatchObject({ code: 'IO_ERROR' });
  });

  it('checks what is ingested, and that the engine says the same of it', async () => {
    const { engine } = guarded();
    const state = new Uint8Array(0);
    const options = { base: 0, end: 5, epoch: 1, state, uid: 'u' };
    async function* chunks(...given: Uint8Array[]) {
      yield* given;
    }
    // the scripted engine reads nothing, so nothing can be said about its answer
    expect(await engine.ingest('s', options, chunks(batch(0)))).toEqual({ bytes: 0, crc: 0 });
    await expect(engine.ingest('s', { ...options, end: -1 }, chunks())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(engine.ingest('s', { ...options, uid: '' }, chunks())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

function flip(bytes: Uint8Array, at: number): Uint8Array {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

function format1(bytes: Uint8Array): Uint8Array {
  bytes[16] = 1;
  return bytes;
}

/** A promise that the test resolves. */
function later<T>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve = (_: T): void => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: (value) => resolve(value) };
}
