import { describe, expect, it } from 'vitest';
import { batch, guarded, openWriter } from './scripted-engine.ts';

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
