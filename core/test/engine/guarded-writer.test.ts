import { StorageError } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import { batch, guarded, openWriter, outcome, tick } from './scripted-engine.ts';

const none = (code: string) => ({ code, outcome: 'none' });
const unknown = (code: string) => ({ code, outcome: 'unknown' });

describe('a guarded writer', () => {
  it('settles appends in the order of the calls, whatever order the engine settles in', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const settled: number[] = [];
    const appends = [0, 1, 2].map((base) =>
      writer.append([batch(base)], { base }).then(({ next }) => void settled.push(next)),
    );
    inner.appends[2]?.succeed();
    inner.appends[1]?.succeed();
    await tick();
    expect(settled).toEqual([]);
    inner.appends[0]?.succeed();
    await Promise.all(appends);
    expect(settled).toEqual([1, 2, 3]);
  });

  it('fails everything in flight behind a failed append, and refuses later ones without touching the engine', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const first = outcome(writer.append([batch(0)], { base: 0 }));
    const second = outcome(writer.append([batch(1)], { base: 1 }));
    const third = outcome(writer.append([batch(2)], { base: 2 }));
    inner.appends[1]?.succeed(); // too late: the one in front fails
    inner.appends[2]?.fail(new Error('gone'));
    inner.appends[0]?.fail(Object.assign(new Error('EIO'), { errno: -5, code: 'EIO' }));
    expect(await first).toMatchObject(unknown('IO_ERROR'));
    expect(await second).toMatchObject(unknown('WRITER_FAILED'));
    expect(await third).toMatchObject(unknown('WRITER_FAILED'));
    expect(await outcome(writer.append([batch(1)], { base: 1 }))).toMatchObject(none('WRITER_FAILED'));
    expect(await outcome(writer.ready(1))).toMatchObject(none('WRITER_FAILED'));
    expect(await outcome(writer.seal())).toMatchObject(none('WRITER_FAILED'));
    expect(inner.appends.length).toBe(3);
  });

  it('does not wait for ever for an engine that never lets go of what is behind a failed append', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    const first = outcome(writer.append([batch(0)], { base: 0 }));
    const second = outcome(writer.append([batch(1)], { base: 1 }));
    inner.appends[0]?.fail(new StorageError('FENCED', 'a higher epoch'));
    expect(await first).toMatchObject(unknown('FENCED'));
    await clock.advance(1000);
    expect(await second).toMatchObject(unknown('WRITER_FAILED'));
    expect(clock.pending).toBe(0);
    expect(await outcome(writer.append([batch(1)], { base: 1 }))).toMatchObject(none('FENCED'));
  });

  it('goes on after a refusal, at the base that was refused', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const refused = outcome(writer.append([batch(0)], { base: 0 }));
    const behind = outcome(writer.append([batch(1)], { base: 1 }));
    inner.appends[0]?.fail(new StorageError('DISK_FULL', 'no room'));
    inner.appends[1]?.fail(new StorageError('OFFSET_MISMATCH', '0 is next'));
    expect(await refused).toMatchObject(none('DISK_FULL'));
    expect(await behind).toMatchObject(none('OFFSET_MISMATCH'));
    const again = writer.append([batch(0)], { base: 0 });
    inner.appends[2]?.succeed();
    expect(await again).toEqual({ next: 1 });
  });

  it('fails a writer whose engine takes an append behind one that it refused', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const refused = outcome(writer.append([batch(0)], { base: 0 }));
    const behind = outcome(writer.append([batch(1)], { base: 1 }));
    inner.appends[0]?.fail(new StorageError('DISK_FULL', 'no room'));
    inner.appends[1]?.succeed();
    expect(await refused).toMatchObject(none('DISK_FULL'));
    expect(await behind).toMatchObject(unknown('WRITER_FAILED'));
  });

  it('fails a writer whose engine acknowledges another end than was appended', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0, 3)], { base: 0 }));
    inner.appends[0]?.succeed(2);
    expect(await append).toMatchObject(unknown('WRITER_FAILED'));
  });

  it.each([
    ['another base', [batch(5)], { base: 5 }, 'OFFSET_MISMATCH'],
    ['no batch', [], { base: 0 }, 'INVALID_ARGUMENT'],
    ['a base that is no offset', [batch(0)], { base: 0.5 }, 'INVALID_ARGUMENT'],
    ['a gap between batches', [batch(0), batch(2)], { base: 0 }, 'BATCH_INVALID'],
    ['a batch that is cut', [batch(0).subarray(0, 90)], { base: 0 }, 'BATCH_INVALID'],
    ['two batches in one', [Buffer.concat([batch(0), batch(1)])], { base: 0 }, 'BATCH_INVALID'],
    ['a batch that is too large', [batch(0, 1, 1024 * 1024 + 1)], { base: 0 }, 'BATCH_TOO_LARGE'],
    ['too much at once', [0, 1, 2].map((base) => batch(base, 1, 1024 * 1024)), { base: 0 }, 'BATCH_TOO_LARGE'],
    ['bytes too few for a header', [new Uint8Array(3)], { base: 0 }, 'BATCH_INVALID'],
  ] as const)('refuses %s, and takes the next right one', async (_what, batches, options, code) => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    expect(await outcome(writer.append(batches, options))).toMatchObject(none(code));
    expect(inner.appends.length).toBe(0);
    const right = writer.append([batch(0)], { base: 0 });
    inner.appends[0]?.succeed();
    expect(await right).toEqual({ next: 1 });
  });

  it('never applies an append that was aborted before the call', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = writer.append([batch(0)], { base: 0, signal: AbortSignal.abort() });
    expect(await outcome(append)).toMatchObject(none('ABORTED'));
    expect(inner.appends.length).toBe(0);
  });

  it('only stops the wait when an append is aborted after it was dispatched', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const abort = new AbortController();
    const first = outcome(writer.append([batch(0)], { base: 0, signal: abort.signal }));
    const second = writer.append([batch(1)], { base: 1 });
    abort.abort();
    expect(await first).toMatchObject(unknown('ABORTED'));
    inner.appends[1]?.succeed();
    inner.appends[0]?.succeed();
    expect(await second).toEqual({ next: 2 });
  });

  it('refuses an append without credit, and takes it once ready() has resolved', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    let give = (): void => {};
    inner.credit = new Promise((resolve) => {
      give = resolve;
    });
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('BACKPRESSURE'));
    const ready = writer.ready(100);
    inner.credit = undefined;
    give();
    await ready;
    const append = writer.append([batch(0)], { base: 0 });
    inner.appends[0]?.succeed();
    expect(await append).toEqual({ next: 1 });
  });

  it('says that it was fenced, and not that it has no credit, when the engine says so for want of credit', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.credit = Promise.reject(new StorageError('FENCED', 'a higher epoch', { outcome: 'none' }));
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('FENCED'));
    inner.credit = undefined;
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('FENCED'));
    expect(inner.appends.length).toBe(0);
  });

  it('flushes when every append so far has settled', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const order: string[] = [];
    const append = writer.append([batch(0)], { base: 0 }).then(() => void order.push('append'));
    const flush = writer.flush().then(() => void order.push('flush'));
    await tick();
    inner.appends[0]?.succeed();
    await Promise.all([append, flush]);
    expect(order).toEqual(['append', 'flush']);
  });

  it('refuses appends from the call of seal on, seals once, and knows a wrong end', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = writer.append([batch(0)], { base: 0 });
    inner.sealedAt = 1;
    const seal = writer.seal();
    expect(await outcome(writer.append([batch(1)], { base: 1 }))).toMatchObject(none('SEGMENT_SEALED'));
    inner.appends[0]?.succeed();
    await append;
    expect(await seal).toEqual({ end: 1 });
    expect(await writer.seal()).toEqual({ end: 1 });
    expect(inner.calls).toEqual(['seal']);

    const second = guarded();
    const wrong = await openWriter(second.engine, 7);
    second.inner.sealedAt = 9;
    expect(await outcome(wrong.seal())).toMatchObject({ code: 'IO_ERROR' });
  });

  it('lets a seal that was refused for want of room be asked again', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.sealedAt = new StorageError('DISK_FULL', 'no room for the footer');
    expect(await outcome(writer.seal())).toMatchObject(none('DISK_FULL'));
    inner.sealedAt = 0;
    expect(await writer.seal()).toEqual({ end: 0 });
  });

  it('takes CLOSED for an append that was dispatched as unknown, whatever the engine says of it', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const first = outcome(writer.append([batch(0)], { base: 0 }));
    const second = outcome(writer.append([batch(1)], { base: 1 }));
    const closed = new StorageError('CLOSED', 'it is closed');
    inner.appends[0]?.fail(closed);
    inner.appends[1]?.fail(closed);
    expect(closed.outcome).toBe('none');
    expect(await first).toMatchObject({ ...unknown('CLOSED'), cause: closed });
    expect(await second).toMatchObject(unknown('WRITER_FAILED'));
    // nothing is known of what it holds: the next one is not given to it
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('WRITER_FAILED'));
    expect(inner.appends.length).toBe(2);
  });

  it('settles everything when the engine closes, even what the engine leaves in the air', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    const closing = engine.close();
    await tick();
    await clock.advance(1000);
    await closing;
    await engine.close();
    expect(inner.closes).toBe(1);
    expect(await append).toMatchObject(unknown('CLOSED'));
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('CLOSED'));
    expect(await outcome(writer.read(0, { maxBytes: 1 }))).toMatchObject(none('CLOSED'));
    await expect(openWriter(engine)).rejects.toMatchObject(none('CLOSED'));
  });
});
