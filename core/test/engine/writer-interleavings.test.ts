import { StorageError } from '@robustmq/core';
import { describe, expect, it } from 'vitest';
import { batch, guarded, openWriter, outcome, TestMetrics, tick } from './scripted-engine.ts';

const none = (code: string) => ({ code, outcome: 'none' });
const unknown = (code: string) => ({ code, outcome: 'unknown' });
const full = () => new StorageError('DISK_FULL', 'no room');
const misplaced = () => new StorageError('OFFSET_MISMATCH', 'not what is next');

/** Which of the promises have settled, by their place. */
function watch(...promises: readonly Promise<unknown>[]): number[] {
  const settled: number[] = [];
  promises.forEach((promise, place) => {
    promise.then(
      () => settled.push(place),
      () => settled.push(place),
    );
  });
  return settled;
}

describe('appends in flight', () => {
  it('settle one by one as what is in front of them does', async () => {
    const metrics = new TestMetrics();
    const { inner, engine, clock } = guarded({ metrics });
    const writer = await openWriter(engine, 10);
    await clock.advance(1000);
    const appends = [10, 11, 12, 13].map((base) => writer.append([batch(base)], { base }));
    expect(metrics.inFlightBytes).toBe(400);
    const settled = watch(...appends);
    await clock.advance(250);
    inner.appends[3]?.succeed();
    inner.appends[1]?.succeed();
    await tick();
    expect(settled).toEqual([]);
    inner.appends[0]?.succeed();
    await tick();
    expect(settled).toEqual([0, 1]);
    expect(metrics.inFlightBytes).toBe(200);
    inner.appends[2]?.succeed();
    await tick();
    expect(settled).toEqual([0, 1, 2, 3]);
    expect(metrics.inFlightBytes).toBe(0);
    expect(metrics.counters.get('robust_engine_append_bytes_total')?.value).toBe(400);
    expect(metrics.observed.get('robust_engine_append_seconds')).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  it('name the base that is next when they name another, and go on there', async () => {
    const { engine } = guarded();
    const writer = await openWriter(engine, 10);
    const offsets = { start: 10, end: 10 };
    expect(await outcome(writer.append([batch(9)], { base: 9 }))).toMatchObject({
      ...none('OFFSET_MISMATCH'),
      offsets,
      where: 'segment s-1 of hot',
    });
    expect(await outcome(writer.append([batch(11)], { base: 11 }))).toMatchObject(none('OFFSET_MISMATCH'));
  });

  it.each([[[]], [undefined], [batch(0)], ['x']])('are lists of batches, not %j', async (given) => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    expect(await outcome(writer.append(given as never, { base: 0 }))).toMatchObject(none('INVALID_ARGUMENT'));
    expect(inner.appends.length).toBe(0);
  });

  it('are handed on with their batches, their base and no signal', async () => {
    const { inner, engine } = guarded();
    const given: unknown[] = [];
    inner.answers = {
      append: async (...all: unknown[]) => {
        given.push(all);
        return { next: 1 };
      },
    };
    const writer = await openWriter(engine);
    const batches = [batch(0)];
    await writer.append(batches, { base: 0, signal: new AbortController().signal });
    expect(given).toEqual([[batches, { base: 0 }]]);
  });

  it('may be as large as two of the largest batches, and no larger', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const half = 1024 * 1024;
    const append = writer.append([batch(0, 1, half), batch(1, 1, half)], { base: 0 });
    inner.appends[0]?.succeed();
    expect(await append).toEqual({ next: 2 });
    const three = [batch(2, 1, half), batch(3, 1, half), batch(4, 1, 61)];
    expect(await outcome(writer.append(three, { base: 2 }))).toMatchObject(none('BATCH_TOO_LARGE'));
  });

  it('may not reach past the largest offset', async () => {
    const { engine } = guarded();
    const last = Number.MAX_SAFE_INTEGER - 2 ** 31;
    const writer = await openWriter(engine, last);
    expect(await outcome(writer.append([batch(last)], { base: last }))).toMatchObject(none('INVALID_ARGUMENT'));
  });

  it('fail with what the engine throws instead of a promise', async () => {
    const { inner, engine } = guarded();
    inner.answers = {
      append: () => {
        throw new TypeError('a bug');
      },
    };
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    expect(await append).toMatchObject({ ...unknown('WRITER_FAILED'), cause: { message: 'a bug' } });
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('WRITER_FAILED'));
  });

  it.each([undefined, null, {}, { next: '1' }])('fail when the engine acknowledges %j', async (said) => {
    const { inner, engine } = guarded();
    inner.answers = { append: async () => said };
    const writer = await openWriter(engine);
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(unknown('WRITER_FAILED'));
  });

  it('that were aborted keep their place, and their bytes, until the engine lets go of them', async () => {
    const metrics = new TestMetrics();
    const { inner, engine } = guarded({ metrics });
    const writer = await openWriter(engine);
    const abort = new AbortController();
    const aborted = writer.append([batch(0)], { base: 0, signal: abort.signal });
    const behind = writer.append([batch(1)], { base: 1, signal: abort.signal });
    const last = writer.append([batch(2)], { base: 2 });
    const settled = watch(aborted, behind, last);
    abort.abort();
    inner.appends[2]?.succeed();
    await tick();
    expect(settled).toEqual([0, 1]);
    expect(metrics.inFlightBytes).toBe(300);
    const flush = watch(writer.flush());
    inner.appends[1]?.succeed();
    await tick();
    expect(flush).toEqual([]);
    inner.appends[0]?.succeed();
    await tick();
    expect(await last).toEqual({ next: 3 });
    expect(flush).toEqual([0]);
    expect(metrics.inFlightBytes).toBe(0);
  });

  it('leave no listener on a signal that outlives them', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...all: Parameters<typeof add>) => {
      listeners++;
      add(...all);
    };
    signal.removeEventListener = (...all: Parameters<typeof remove>) => {
      listeners--;
      remove(...all);
    };
    const appends = [0, 1, 2].map((base) => outcome(writer.append([batch(base)], { base, signal })));
    expect(listeners).toBe(3);
    inner.appends[0]?.succeed();
    inner.appends[1]?.fail(new Error('gone'));
    await tick();
    await clock.advance(1000);
    await Promise.all(appends);
    expect(listeners).toBe(0);
  });

  it('that were aborted and then failed still fail what is behind them', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const abort = new AbortController();
    const first = outcome(writer.append([batch(0)], { base: 0, signal: abort.signal }));
    const second = outcome(writer.append([batch(1)], { base: 1 }));
    abort.abort();
    inner.appends[0]?.fail(new StorageError('FENCED', 'a higher epoch'));
    inner.appends[1]?.succeed();
    expect(await first).toMatchObject(unknown('ABORTED'));
    expect(await second).toMatchObject(unknown('WRITER_FAILED'));
    expect(await outcome(writer.ready(1))).toMatchObject(none('FENCED'));
  });
});

describe('a failure', () => {
  it('keeps what is behind it until the engine has let go of each of them, and no longer', async () => {
    const metrics = new TestMetrics();
    const { inner, engine, clock } = guarded({ metrics });
    const writer = await openWriter(engine);
    const appends = [0, 1, 2].map((base) => writer.append([batch(base)], { base }));
    const settled = watch(...appends);
    inner.appends[0]?.fail(new Error('EIO'));
    await tick();
    expect(settled).toEqual([0]);
    inner.appends[2]?.succeed();
    await clock.advance(999);
    expect(settled).toEqual([0]);
    expect(metrics.inFlightBytes).toBe(200);
    inner.appends[1]?.fail(new Error('EIO too'));
    await tick();
    expect(settled).toEqual([0, 1, 2]);
    expect(metrics.inFlightBytes).toBe(0);
    expect(clock.pending).toBe(0);
    expect(await outcome(appends[1])).toMatchObject({ cause: { cause: { message: 'EIO' } } });
  });

  it('with nothing behind it needs no wait', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    inner.appends[0]?.fail(new Error('EIO'));
    await append;
    expect(clock.pending).toBe(0);
    await writer.flush();
    expect(inner.calls).toEqual([]);
  });

  it('lets a flush wait for all that it takes along', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    const appends = [0, 1].map((base) => outcome(writer.append([batch(base)], { base })));
    inner.appends[0]?.fail(new Error('EIO'));
    await tick();
    const flush = watch(writer.flush());
    await clock.advance(999);
    expect(flush).toEqual([]);
    await clock.advance(1);
    expect(flush).toEqual([0]);
    expect(await appends[1]).toMatchObject(unknown('WRITER_FAILED'));
    expect(inner.calls).toEqual([]); // a failed writer is left alone
  });

  it('that the engine calls certainly not applied, but that is no refusal, ends the writer all the same', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    inner.appends[0]?.fail(new StorageError('IO_ERROR', 'before the write', { outcome: 'none' }));
    expect(await append).toMatchObject(none('IO_ERROR'));
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('WRITER_FAILED'));
  });

  it('of an outcome that is not known ends the writer even by the name of a refusal', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    inner.appends[0]?.fail(new StorageError('DISK_FULL', 'half way', { outcome: 'unknown' }));
    expect(await append).toMatchObject(unknown('DISK_FULL'));
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('WRITER_FAILED'));
  });

  it('by number of the system is an I/O error', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    inner.appends[0]?.fail(Object.assign(new Error('EIO'), { errno: 'x' }));
    expect(await append).toMatchObject(unknown('WRITER_FAILED'));
  });
});

describe('a refusal', () => {
  it.each([
    'OFFSET_MISMATCH',
    'BACKPRESSURE',
    'DISK_FULL',
    'SEGMENT_MUST_ROLL',
    'ABORTED',
    'BATCH_INVALID',
    'BATCH_TOO_LARGE',
    'INVALID_ARGUMENT',
  ] as const)('%s leaves the writer as if it had not been asked', async (code) => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const refused = outcome(writer.append([batch(0)], { base: 0 }));
    inner.appends[0]?.fail(new StorageError(code, 'no'));
    expect(await refused).toMatchObject(none(code));
    const again = writer.append([batch(0)], { base: 0 });
    inner.appends[1]?.succeed();
    expect(await again).toEqual({ next: 1 });
  });

  it('takes along what was sent behind it, and only that: what is sent afterwards has the place', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const refused = outcome(writer.append([batch(0)], { base: 0 }));
    const doomed = [1, 2].map((base) => outcome(writer.append([batch(base)], { base })));
    inner.appends[0]?.fail(full());
    expect(await refused).toMatchObject(none('DISK_FULL'));
    const again = writer.append([batch(0)], { base: 0 });
    const behind = writer.append([batch(1)], { base: 1 });
    const settled = watch(again, behind);
    inner.appends[3]?.succeed();
    inner.appends[4]?.succeed();
    inner.appends[1]?.fail(misplaced());
    await tick();
    expect(settled).toEqual([]);
    inner.appends[2]?.fail(misplaced());
    for (const outcomes of await Promise.all(doomed)) expect(outcomes).toMatchObject(none('OFFSET_MISMATCH'));
    expect(await again).toEqual({ next: 1 });
    expect(await behind).toEqual({ next: 2 });
    const next = writer.append([batch(2)], { base: 2 });
    inner.appends[5]?.succeed();
    expect(await next).toEqual({ next: 3 });
  });

  it('that comes twice in a row sends the second one back to its own place', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const first = outcome(writer.append([batch(0)], { base: 0 }));
    const doomed = outcome(writer.append([batch(1)], { base: 1 }));
    inner.appends[0]?.fail(full());
    await first;
    const second = outcome(writer.append([batch(0, 3)], { base: 0 }));
    const behind = outcome(writer.append([batch(3)], { base: 3 }));
    inner.appends[1]?.fail(misplaced());
    inner.appends[2]?.fail(full());
    inner.appends[3]?.fail(misplaced());
    expect(await doomed).toMatchObject(none('OFFSET_MISMATCH'));
    expect(await second).toMatchObject(none('DISK_FULL'));
    expect(await behind).toMatchObject(none('OFFSET_MISMATCH'));
    const third = writer.append([batch(0)], { base: 0 });
    inner.appends[4]?.succeed();
    expect(await third).toEqual({ next: 1 });
  });

  it('of the last in flight dooms nothing that comes later', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const landed = writer.append([batch(0)], { base: 0 });
    const refused = outcome(writer.append([batch(1)], { base: 1 }));
    inner.appends[1]?.fail(full());
    inner.appends[0]?.succeed();
    expect(await landed).toEqual({ next: 1 });
    expect(await refused).toMatchObject(none('DISK_FULL'));
    const again = writer.append([batch(1)], { base: 1 });
    inner.appends[2]?.succeed();
    expect(await again).toEqual({ next: 2 });
  });

  it('of one whose follower fails for good fails what was sent afterwards, too', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const refused = outcome(writer.append([batch(0)], { base: 0 }));
    const doomed = outcome(writer.append([batch(1)], { base: 1 }));
    inner.appends[0]?.fail(full());
    expect(await refused).toMatchObject(none('DISK_FULL'));
    const again = outcome(writer.append([batch(0)], { base: 0 }));
    inner.appends[2]?.succeed();
    inner.appends[1]?.fail(new Error('EIO'));
    expect(await doomed).toMatchObject(unknown('WRITER_FAILED'));
    expect(await again).toMatchObject(unknown('WRITER_FAILED'));
  });
});

describe('a flush', () => {
  it('waits for the appends so far, and not for those that come after it', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const first = writer.append([batch(0)], { base: 0 });
    const flush = watch(writer.flush());
    await tick();
    const second = writer.append([batch(1)], { base: 1 });
    inner.appends[0]?.succeed();
    await first;
    await tick();
    expect(flush).toEqual([0]); // a writer that is never idle would be flushed never
    inner.appends[1]?.succeed();
    await second;
    expect(inner.calls).toEqual(['flush']);
  });

  it('may be asked for by many: each has its turn', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = writer.append([batch(0)], { base: 0 });
    const flushes = watch(writer.flush(), writer.flush(), writer.flush());
    await tick();
    expect(inner.calls).toEqual(['flush']);
    inner.appends[0]?.succeed();
    await append;
    await tick();
    expect(flushes).toEqual([0, 1, 2]);
    expect(inner.calls).toEqual(['flush', 'flush', 'flush']);
  });

  it('that fails says how, typed, and the next one has its turn', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.answers = { flush: () => Promise.reject(new Error('no flush')) };
    expect(await outcome(writer.flush())).toMatchObject({ code: 'WRITER_FAILED', cause: { message: 'no flush' } });
    inner.answers = {};
    await writer.flush();
  });

  it('of a closed writer is refused', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    await writer.close();
    expect(await outcome(writer.flush())).toMatchObject(none('CLOSED'));
    const other = await openWriter(engine);
    await engine.close();
    expect(await outcome(other.flush())).toMatchObject(none('CLOSED'));
    expect(inner.calls).toEqual(['close']);
  });
});

describe('a seal', () => {
  it('comes after the flush that was called before it', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = writer.append([batch(0)], { base: 0 });
    inner.sealedAt = 1;
    const [flush, seal] = [writer.flush(), writer.seal()];
    await tick();
    expect(inner.calls).toEqual(['flush']);
    inner.appends[0]?.succeed();
    await Promise.all([append, flush]);
    expect(await seal).toEqual({ end: 1 });
    expect(inner.calls).toEqual(['flush', 'seal']);
    expect(await outcome(writer.ready(1))).toMatchObject(none('SEGMENT_SEALED'));
    await writer.flush();
  });

  it('answers once what is in flight has settled, even if the engine is faster', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = writer.append([batch(0)], { base: 0 });
    inner.sealedAt = 1;
    const sealed = watch(writer.seal(), append);
    await tick();
    expect(inner.calls).toEqual(['seal']);
    expect(sealed).toEqual([]);
    inner.appends[0]?.succeed();
    await tick();
    expect(sealed).toEqual([1, 0]);
  });

  it('fails when an append in front of it does, whatever the engine says', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    inner.sealedAt = 1;
    const seal = outcome(writer.seal());
    inner.appends[0]?.fail(new Error('EIO'));
    await append;
    expect(await seal).toMatchObject(none('WRITER_FAILED'));
    expect(await outcome(writer.seal())).toMatchObject(none('WRITER_FAILED'));
  });

  it('ends where a refusal left the writer', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    const refused = outcome(writer.append([batch(0)], { base: 0 }));
    inner.sealedAt = 0;
    const seal = writer.seal();
    inner.appends[0]?.fail(full());
    await refused;
    expect(await seal).toEqual({ end: 0 });
  });

  it('that failed is for recovery: nothing goes on, and asking again tells the same', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.sealedAt = new Error('EIO');
    expect(await outcome(writer.seal())).toMatchObject(unknown('WRITER_FAILED'));
    expect(await outcome(writer.seal())).toMatchObject(unknown('WRITER_FAILED'));
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('WRITER_FAILED'));
    expect(inner.calls).toEqual(['seal']);
  });

  it('that was certainly not done, but can not heal, is for recovery', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.sealedAt = new StorageError('FENCED', 'a higher epoch', { outcome: 'none' });
    expect(await outcome(writer.seal())).toMatchObject(none('FENCED'));
    expect(await outcome(writer.ready(1))).toMatchObject(none('FENCED'));
    inner.sealedAt = 0;
    expect(await outcome(writer.seal())).toMatchObject(none('FENCED'));
    expect(inner.calls).toEqual(['seal']);
  });

  it('of an outcome that is not known is for recovery, even if it could be asked again', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.sealedAt = new StorageError('TIMEOUT', 'no answer');
    expect(await outcome(writer.seal())).toMatchObject(unknown('TIMEOUT'));
    inner.sealedAt = 0;
    expect(await outcome(writer.seal())).toMatchObject(unknown('TIMEOUT'));
    expect(inner.calls).toEqual(['seal']);
  });

  it('that was refused for now lets no append in before it is asked again', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.sealedAt = full();
    await outcome(writer.seal());
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('SEGMENT_SEALED'));
    expect(await outcome(writer.ready(1))).toMatchObject(none('SEGMENT_SEALED'));
  });

  it('is refused to a writer that is closed before its turn, and to one that is closed', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    let flushed = (): void => {};
    const pending = new Promise<void>((resolve) => {
      flushed = resolve;
    });
    inner.answers = { flush: () => pending };
    const flush = outcome(writer.flush());
    const seal = outcome(writer.seal());
    await tick();
    const close = writer.close();
    flushed();
    await flush;
    expect(await seal).toMatchObject(none('CLOSED'));
    await close;
    expect(inner.calls).toEqual(['close']);
    expect(await outcome(writer.seal())).toMatchObject(none('CLOSED'));
  });
});

describe('credit', () => {
  it('is asked for by bytes of an append, and refused to what is no such number', async () => {
    const { inner, engine } = guarded();
    const asked: unknown[] = [];
    inner.answers = { ready: (...all: unknown[]) => void asked.push(...all) };
    const writer = await openWriter(engine);
    for (const bytes of [0, 1, 2 * 1024 * 1024]) expect(writer.ready(bytes)).toBeUndefined();
    expect(asked).toEqual([0, 1, 2 * 1024 * 1024]);
    for (const bytes of [-1, 0.5, 2 * 1024 * 1024 + 1, Number.NaN, '1'])
      expect(await outcome(writer.ready(bytes as number))).toMatchObject(none('INVALID_ARGUMENT'));
    expect(asked.length).toBe(3);
  });

  it('is waited for once by all that are refused for want of it', async () => {
    const { inner, engine } = guarded();
    const asked: number[] = [];
    const waits: (() => void)[] = [];
    inner.answers = {
      ready: (...[bytes]: number[]) => {
        asked.push(bytes ?? 0);
        return bytes === 61 ? undefined : new Promise<void>((resolve) => void waits.push(resolve));
      },
    };
    const writer = await openWriter(engine);
    for (const size of [100, 100, 101])
      expect(await outcome(writer.append([batch(0, 1, size)], { base: 0 }))).toMatchObject(none('BACKPRESSURE'));
    expect(asked).toEqual([100]);
    // there may be room for less
    const small = writer.append([batch(0, 1, 61)], { base: 0 });
    inner.appends[0]?.succeed();
    expect(await small).toEqual({ next: 1 });
    waits[0]?.();
    await tick();
    expect(await outcome(writer.append([batch(1)], { base: 1 }))).toMatchObject(none('BACKPRESSURE'));
    expect(asked).toEqual([100, 61, 100]);
  });

  it('that is there again need not be told of by the older question', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.credit = new Promise(() => {}); // an engine that answers late
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('BACKPRESSURE'));
    inner.credit = undefined;
    expect(writer.ready(99)).toBeUndefined(); // tells nothing of 100
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('BACKPRESSURE'));
    expect(writer.ready(100)).toBeUndefined();
    const append = writer.append([batch(0)], { base: 0 });
    inner.appends[0]?.succeed();
    expect(await append).toEqual({ next: 1 });
  });

  it('that was waited for by ready() is there, whatever becomes of an older question', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.credit = new Promise(() => {});
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('BACKPRESSURE'));
    inner.credit = Promise.resolve();
    await writer.ready(100);
    inner.credit = undefined;
    const append = writer.append([batch(0)], { base: 0 });
    inner.appends[0]?.succeed();
    expect(await append).toEqual({ next: 1 });
  });

  it('that ready() still waits for lets no append ask the engine again', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    let asked = 0;
    inner.answers = {
      ready: () => {
        asked++;
        return new Promise(() => {});
      },
    };
    await outcome(writer.append([batch(0)], { base: 0 }));
    expect(writer.ready(100)).toBeInstanceOf(Promise);
    await outcome(writer.append([batch(0)], { base: 0 }));
    expect(asked).toBe(2);
  });

  it('that an older question brings does not stand for a younger one', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    let older = (): void => {};
    inner.credit = new Promise((resolve) => {
      older = resolve;
    });
    await outcome(writer.append([batch(0, 1, 200)], { base: 0 }));
    let asked = 0;
    inner.answers = {
      ready: () => {
        asked++;
        return new Promise(() => {});
      },
    };
    await outcome(writer.append([batch(0, 1, 100)], { base: 0 }));
    expect(asked).toBe(1);
    older();
    await tick();
    await outcome(writer.append([batch(0, 1, 100)], { base: 0 }));
    expect(asked).toBe(1);
  });

  it.each(['append', 'ready'] as const)(
    'that the engine throws instead of giving fails the writer, typed (%s)',
    async (how) => {
      const { inner, engine } = guarded();
      inner.answers = {
        ready: () => {
          throw new TypeError('a bug');
        },
      };
      const writer = await openWriter(engine);
      const first = await outcome(how === 'append' ? writer.append([batch(0)], { base: 0 }) : writer.ready(1));
      expect(first).toMatchObject({ code: 'WRITER_FAILED' });
      if (how === 'append') expect(first).toMatchObject({ outcome: 'none', cause: { cause: { message: 'a bug' } } });
      expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('WRITER_FAILED'));
      expect(inner.appends.length).toBe(0);
    },
  );

  it('whose wait the engine rejects fails the writer, as what it says', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.credit = Promise.reject(new StorageError('FENCED', 'a higher epoch'));
    expect(await outcome(writer.ready(1))).toMatchObject(unknown('FENCED'));
    expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('FENCED'));
  });

  it.each(['SEGMENT_SEALED', 'CLOSED', 'ABORTED'] as const)(
    'whose wait ends with %s says nothing bad',
    async (code) => {
      const { inner, engine } = guarded();
      const writer = await openWriter(engine);
      inner.credit = Promise.reject(new StorageError(code, 'no more'));
      expect(await outcome(writer.ready(1))).toMatchObject(none(code));
      expect(await outcome(writer.append([batch(0)], { base: 0 }))).toMatchObject(none('BACKPRESSURE'));
      inner.credit = undefined;
      const append = writer.append([batch(0)], { base: 0 });
      inner.appends[0]?.succeed();
      expect(await append).toEqual({ next: 1 });
    },
  );
});

describe('a writer that is closed', () => {
  it('waits for what is in flight, closes its engine once, and leaves', async () => {
    const metrics = new TestMetrics();
    const { inner, engine, clock } = guarded({ metrics });
    const writer = await openWriter(engine);
    expect(metrics.openWriters).toBe(1);
    const append = writer.append([batch(0)], { base: 0 });
    const close = writer.close();
    expect(writer.close()).toBe(close);
    expect(await outcome(writer.append([batch(1)], { base: 1 }))).toMatchObject(none('CLOSED'));
    const closed = watch(close);
    await tick();
    expect(closed).toEqual([]);
    inner.appends[0]?.succeed();
    expect(await append).toEqual({ next: 1 });
    await close;
    expect(clock.pending).toBe(0);
    expect(inner.calls).toEqual(['close']);
    expect(metrics.openWriters).toBe(0);
    await engine.close();
    expect(metrics.openWriters).toBe(0);
  });

  it('gives up what the engine does not settle, and does not hear it any more', async () => {
    const metrics = new TestMetrics();
    const { inner, engine, clock } = guarded({ metrics });
    const writer = await openWriter(engine);
    const appends = [0, 1].map((base) => writer.append([batch(base)], { base }));
    const settled = watch(...appends);
    const close = writer.close();
    await tick();
    await clock.advance(999);
    expect(settled).toEqual([]);
    await clock.advance(1);
    await close;
    for (const append of appends) expect(await outcome(append)).toMatchObject(unknown('CLOSED'));
    inner.appends[1]?.fail(new Error('late'));
    inner.appends[0]?.succeed();
    await tick();
    expect(metrics.inFlightBytes).toBe(0);
    expect(metrics.counters.get('robust_engine_append_bytes_total')?.value).toBe(0);
  });

  it('settles each once when an append fails while it waits', async () => {
    const metrics = new TestMetrics();
    const { inner, engine, clock } = guarded({ metrics });
    const writer = await openWriter(engine);
    const appends = [0, 1, 2].map((base) => outcome(writer.append([batch(base)], { base })));
    const close = writer.close();
    await tick();
    await clock.advance(600);
    inner.appends[0]?.fail(new Error('EIO'));
    await tick();
    await clock.advance(400); // the wait of close is over, that for what is behind the failed one is not
    await close;
    expect(await appends[0]).toMatchObject(unknown('WRITER_FAILED'));
    expect(await appends[1]).toMatchObject(unknown('CLOSED'));
    expect(await appends[2]).toMatchObject(unknown('CLOSED'));
    await clock.advance(1000);
    expect(metrics.inFlightBytes).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('leaves once, however many close it', async () => {
    const metrics = new TestMetrics();
    const { engine, clock } = guarded({ metrics });
    const [writer, other] = [await openWriter(engine), await openWriter(engine)];
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    const closes = [writer.close(), engine.close()];
    await tick();
    await clock.advance(1000);
    await tick();
    await clock.advance(1000);
    await Promise.all(closes);
    expect(await append).toMatchObject(unknown('CLOSED'));
    expect(metrics.openWriters).toBe(0);
    await other.close();
    expect(metrics.openWriters).toBe(0);
  });

  it('stays closed when a seal ends late', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    let end = (_: { end: number }): void => {};
    const pending = new Promise<{ end: number }>((resolve) => {
      end = resolve;
    });
    inner.answers = { seal: () => pending };
    const seal = writer.seal();
    await tick();
    const close = writer.close();
    await clock.advance(1000);
    await close;
    end({ end: 0 });
    expect(await seal).toEqual({ end: 0 });
    expect(await outcome(writer.flush())).toMatchObject(none('CLOSED'));
  });

  it('does not wait for ever for a seal that the engine never ends', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    inner.answers = { seal: () => new Promise(() => {}) };
    writer.seal().catch(() => {});
    await tick();
    const close = watch(writer.close());
    await clock.advance(999);
    expect(inner.calls).toEqual([]);
    await clock.advance(1);
    expect(close).toEqual([0]);
    expect(inner.calls).toEqual(['close']);
  });

  it('lets go of its appends even when the engine fails to close it', async () => {
    const { inner, engine, clock } = guarded();
    const writer = await openWriter(engine);
    const append = outcome(writer.append([batch(0)], { base: 0 }));
    inner.answers = {
      close: () => {
        throw new Error('stuck');
      },
    };
    const close = outcome(writer.close());
    await tick();
    await clock.advance(1000);
    expect(await append).toMatchObject(unknown('CLOSED'));
    expect(await close).toMatchObject({ code: 'IO_ERROR', cause: { message: 'stuck' } });
  });

  it('tells what it holds until then, and no more', async () => {
    const { inner, engine } = guarded();
    const writer = await openWriter(engine);
    inner.answers = { state: async () => new Uint8Array([7]), offsetForTimestamp: async () => undefined };
    expect(await writer.state()).toEqual(new Uint8Array([7]));
    expect(await writer.offsetForTimestamp(1)).toBeUndefined();
    await writer.close();
    expect(await outcome(writer.state())).toMatchObject(none('CLOSED'));
    expect(await outcome(writer.offsetForTimestamp(1))).toMatchObject(none('CLOSED'));
    expect(() => writer.offsets()).toThrow('closed');
  });
});
