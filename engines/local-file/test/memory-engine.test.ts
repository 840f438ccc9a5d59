import type { Metrics, SegmentWriter, StorageEngine } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test, vi } from 'vitest';
import { decodeCheckpoint } from '../src/checkpoint.ts';
import { batch } from './batches.ts';
import { coded, MemoryDisk } from './memory-disk.ts';
import { openInMemory } from './memory-engine.ts';

vi.mock('../src/wal/wal-worker.ts', () => import('./inline-wal-worker.ts'));

const STATE = Buffer.from('a fold');
const settle = async () => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};
const none = (code: string) => ({ code, outcome: 'none' });

const create = (engine: StorageEngine, id: string, epoch = 1, state: Uint8Array = STATE) =>
  engine.create(id, { base: 0, epoch, config: {}, state });

async function append(writer: SegmentWriter, from: number, end: number, payloadBytes = 100): Promise<void> {
  for (let base = from; base < end; base++) await writer.append([batch(base, payloadBytes)], { base });
}

async function written(engine: StorageEngine, id: string, end: number, payloadBytes = 100) {
  const writer = await create(engine, id);
  await append(writer, 0, end, payloadBytes);
  return writer;
}

const bytesOf = (end: number, payloadBytes = 100): Buffer =>
  Buffer.concat(Array.from({ length: end }, (_, base) => batch(base, payloadBytes)));

async function contentOf(engine: StorageEngine, id: string): Promise<Buffer> {
  const reader = await engine.openReader(id);
  return Buffer.from((await reader.read(0, { maxBytes: 1 << 24 })).bytes);
}

async function* chunks(...given: Buffer[]): AsyncGenerator<Uint8Array> {
  yield* given;
}

const INGESTION = { base: 0, end: 3, epoch: 1, state: STATE, uid: 'one' };
const ofLog = (call: string): boolean => call.startsWith('write /r/wal');

/** An engine, closed well, that has these in files alone. */
async function closed(sealed: Readonly<Record<string, number>>, open: Readonly<Record<string, number>> = {}) {
  const disk = new MemoryDisk();
  const { engine } = await openInMemory(disk);
  for (const [id, end] of Object.entries(sealed)) await (await written(engine, id, end)).seal();
  for (const [id, end] of Object.entries(open)) await written(engine, id, end);
  await engine.close();
  return disk;
}

describe('creating', () => {
  test('refuses a name that is taken, by an open segment, a footer or a log', async () => {
    const disk = await closed({ sealed: 1 });
    const { engine } = await openInMemory(disk);
    await create(engine, 'open');
    disk.files.set('/r/segments/left.log', Buffer.alloc(10));
    disk.files.set('/r/segments/half.footer', Buffer.alloc(10));
    disk.calls.length = 0;
    for (const id of ['open', 'sealed', 'left', 'half'])
      await expect(create(engine, id), id).rejects.toMatchObject(none('SEGMENT_EXISTS'));
    expect(disk.calls.filter(ofLog)).toEqual([]);
    // of two that come at once one is first
    const both = await Promise.allSettled([create(engine, 'twice'), create(engine, 'twice')]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await engine.close();
  });

  test('keeps the state as it was given, whatever becomes of the caller’s memory', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    for (const [id, size] of [
      ['small', 20],
      ['large', 2000],
    ] as const) {
      const state = Buffer.alloc(size, 7);
      const writer = await create(engine, id, 1, state);
      state.fill(8);
      expect(Buffer.from(await writer.state())).toEqual(Buffer.alloc(size, 7));
      await append(writer, 0, 1);
      await writer.seal();
      const reader = await engine.openReader(id);
      expect(Buffer.from(await reader.state())).toEqual(Buffer.alloc(size, 7));
    }
    const left = disk.copy();
    await engine.close();
    for (const one of [left, disk]) {
      const again = await openInMemory(one);
      for (const [id, size] of [
        ['small', 20],
        ['large', 2000],
      ] as const)
        expect(Buffer.from(await (await again.engine.openReader(id)).state())).toEqual(Buffer.alloc(size, 7));
      await again.engine.close();
    }
  });

  test('many at once gives each a number of its own: none gets the data of another', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const ids = ['a', 'b', 'c', 'd'];
    const writers = await Promise.all(ids.map((id) => create(engine, id)));
    await Promise.all(writers.map((writer, i) => append(writer, 0, 3, 100 + i)));
    const left = disk.copy();
    await engine.close();
    for (const one of [left, disk]) {
      const again = await openInMemory(one);
      for (const [i, id] of ids.entries()) {
        expect(await again.engine.recover(id, { epoch: 2 })).toEqual({ end: 3 });
        expect(await contentOf(again.engine, id)).toEqual(bytesOf(3, 100 + i));
      }
      await again.engine.close();
    }
  });

  test('keeps a state in a file before the log lets go of it, though nothing was ever appended', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    for (const size of [20, 2000]) await create(engine, `a-${size}`, 1, Buffer.alloc(size, 7));
    await engine.close();
    const again = await openInMemory(disk);
    for (const size of [20, 2000]) {
      expect(await again.engine.recover(`a-${size}`, { epoch: 2 })).toEqual({ end: 0 });
      expect(Buffer.from(await (await again.engine.openReader(`a-${size}`)).state())).toEqual(Buffer.alloc(size, 7));
    }
    await again.engine.close();
  });

  test('that fails leaves no segment', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    disk.fault = (call) => (call.startsWith('write /r/wal/0') ? coded('EIO') : undefined);
    await expect(create(engine, 'a')).rejects.toMatchObject({ code: 'IO_ERROR' });
    disk.fault = () => undefined;
    await settle();
    expect(await engine.list({ prefix: '', limit: 9 })).toEqual([]);
    const writer = await written(engine, 'a', 2);
    expect(await writer.seal()).toEqual({ end: 2 });
    await engine.close();
  });

  test('gives each segment a nonce of its own: what is said of one is not said of the next of its name', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const nonces = new Set<unknown>();
    for (let i = 0; i < 5; i++) {
      await written(engine, 'a', 1);
      const left = disk.copy();
      const again = await openInMemory(left);
      await again.engine.close();
      const row = decodeCheckpoint(left.files.get('/r/checkpoint') as Buffer, '')?.segments[0];
      nonces.add(row?.nonce);
      await engine.delete('a');
    }
    expect(nonces.size).toBe(5);
    for (const nonce of nonces) expect(Number.isInteger(nonce) && Number(nonce) > 1000).toBe(true);
    await engine.close();
  });
});

describe('recovering', () => {
  test('an open segment ends its writer, writes down the epoch and the end, and refuses a lower epoch', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const writer = await written(engine, 'a', 3);
    await expect(engine.recover('a', { epoch: 0 })).rejects.toMatchObject(none('FENCED'));
    // the writer goes on until somebody may take over
    await append(writer, 3, 4);
    const recovering = engine.recover('a', { epoch: 5 });
    await settle();
    await expect(writer.append([batch(4)], { base: 4 })).rejects.toMatchObject({ code: 'FENCED' });
    expect(await recovering).toEqual({ end: 4 });
    await expect(engine.recover('a', { epoch: 4 })).rejects.toMatchObject(none('FENCED'));
    disk.calls.length = 0;
    expect(await engine.recover('a', { epoch: 5 })).toEqual({ end: 4 });
    expect(disk.calls.filter(ofLog)).toEqual([]);
    expect(await engine.recover('a', { epoch: 6 })).toEqual({ end: 4 });
    const left = disk.copy();
    await engine.close();
    for (const one of [left, disk]) {
      const again = await openInMemory(one);
      await expect(again.engine.recover('a', { epoch: 5 })).rejects.toMatchObject(none('FENCED'));
      expect(await again.engine.recover('a', { epoch: 6 })).toEqual({ end: 4 });
      expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(4));
      await again.engine.close();
    }
  });

  test('in the epoch that the segment has is written down, too: whoever wrote in it before is over', async () => {
    const disk = await closed({}, { a: 2 });
    const { engine } = await openInMemory(disk);
    disk.calls.length = 0;
    expect(await engine.recover('a', { epoch: 1 })).toEqual({ end: 2 });
    expect(disk.calls.filter(ofLog).length).toBeGreaterThan(1);
    await engine.close();
  });

  test('a sealed segment writes down an epoch that is news, and only that', async () => {
    const disk = await closed({ a: 2 });
    const { engine } = await openInMemory(disk);
    disk.calls.length = 0;
    expect(await engine.recover('a', { epoch: 1 })).toEqual({ end: 2 });
    expect(disk.calls).toEqual([]);
    expect(await engine.recover('a', { epoch: 3 })).toEqual({ end: 2 });
    expect(disk.calls.filter(ofLog).length).toBeGreaterThan(0);
    await expect(engine.recover('a', { epoch: 2 })).rejects.toMatchObject(none('FENCED'));
    expect(await contentOf(engine, 'a')).toEqual(bytesOf(2));
    const left = disk.copy();
    await engine.close();
    for (const one of [left, disk]) {
      const again = await openInMemory(one);
      await expect(again.engine.recover('a', { epoch: 2 })).rejects.toMatchObject(none('FENCED'));
      expect(await again.engine.recover('a', { epoch: 3 })).toEqual({ end: 2 });
      expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(2));
      await again.engine.close();
    }
  });

  test('says what is missing: nothing was there, something was, or the log that the footer tells of', async () => {
    const disk = await closed({ gone: 2, short: 2 });
    const { engine } = await openInMemory(disk);
    for (const kind of ['log', 'index', 'head']) disk.files.set(`/r/segments/only-${kind}.${kind}`, Buffer.alloc(200));
    disk.files.delete('/r/segments/gone.log');
    disk.files.set('/r/segments/short.log', bytesOf(2).subarray(1));
    disk.files.set('/r/segments/bad.footer', Buffer.alloc(200));
    disk.calls.length = 0;
    for (const [id, code] of [
      ['never', 'SEGMENT_UNKNOWN'],
      ['only-log', 'SEGMENT_LOST'],
      ['only-index', 'SEGMENT_LOST'],
      ['only-head', 'SEGMENT_LOST'],
      ['gone', 'SEGMENT_LOST'],
      ['short', 'CORRUPT'],
      ['bad', 'CORRUPT'],
    ] as const) {
      await expect(engine.recover(id, { epoch: 9 }), id).rejects.toMatchObject({ code });
      await expect(engine.openReader(id), id).rejects.toMatchObject({ code });
    }
    expect(disk.calls).toEqual([]);
    await engine.close();
  });

  test('an open segment looks at its file: gone, shorter than it was, or as it should be', async () => {
    const cases: readonly (readonly [file: Buffer | undefined, code: string | undefined])[] = [
      [undefined, 'SEGMENT_LOST'],
      [bytesOf(2).subarray(1), 'CORRUPT'],
      [bytesOf(2), undefined],
      [Buffer.concat([bytesOf(2), Buffer.alloc(50)]), undefined],
    ];
    for (const [file, code] of cases) {
      const disk = await closed({}, { a: 2 });
      if (file === undefined) disk.files.delete('/r/segments/a.log');
      else disk.files.set('/r/segments/a.log', file);
      const { engine } = await openInMemory(disk);
      if (code === undefined) {
        expect(await engine.recover('a', { epoch: 2 })).toEqual({ end: 2 });
        expect(await contentOf(engine, 'a')).toEqual(bytesOf(2));
      } else {
        await expect(engine.recover('a', { epoch: 2 })).rejects.toMatchObject({ code });
        // and again, and after the next start
        await expect(engine.recover('a', { epoch: 3 })).rejects.toMatchObject({ code });
        if (code === 'CORRUPT') await expect(engine.openReader('a')).rejects.toMatchObject({ code });
      }
      await engine.close();
    }
  });

  test('an open segment that has nothing in its file needs none', async () => {
    const disk = await closed({}, { empty: 0 });
    const { engine } = await openInMemory(disk);
    expect(disk.files.has('/r/segments/empty.log')).toBe(false);
    expect(await engine.recover('empty', { epoch: 2 })).toEqual({ end: 0 });
    await engine.close();
  });

  test('after a sync that failed writes the file again from the log first, and fails while it can not', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine } = await openInMemory(disk, { clock, config: { checkpointBytes: 4096 } });
    disk.fault = (call) => (call === 'sync /r/segments/a.log' ? coded('EIO') : undefined);
    await written(engine, 'a', 1, 6000);
    await settle();
    // the page cache calls it clean, and the disk has something else
    disk.files.set('/r/segments/a.log', Buffer.alloc(bytesOf(1, 6000).length));
    disk.fault = (call) => (call === 'write /r/segments/a.log' ? coded('EIO') : undefined);
    await expect(engine.recover('a', { epoch: 2 })).rejects.toMatchObject({
      code: 'IO_ERROR',
      where: '/r/segments/a.log',
    });
    disk.fault = () => undefined;
    expect(await engine.recover('a', { epoch: 2 })).toEqual({ end: 1 });
    expect(disk.files.get('/r/segments/a.log')).toEqual(bytesOf(1, 6000));
    expect(await contentOf(engine, 'a')).toEqual(bytesOf(1, 6000));
    await engine.close();
    expect(clock.pending).toBe(0);
  });
});

test.each([
  ['was written', 'create /r/segments/a.footer.tmp', true],
  ['was given its name', 'rename /r/segments/a.footer', true],
  ['was made durable', 'syncDirectory /r/segments', true],
  ['became all that there is', 'syncDirectory /r/segments', false],
])('an epoch that came while the footer %s is not forgotten', async (_, step, waits) => {
  const disk = new MemoryDisk();
  const { engine } = await openInMemory(disk, { config: { checkpointBytes: 16_384 } });
  await (await written(engine, 'a', 2)).seal();
  await settle();
  let goOn: (() => void) | undefined;
  disk.hold = (call) => {
    if (call !== step) return undefined;
    disk.hold = () => undefined;
    return new Promise<void>((resolve) => (goOn = resolve));
  };
  // makes a round begin
  await written(engine, 'other', 3, 9000);
  await settle();
  expect(goOn).toBeDefined();
  const cuts: MemoryDisk[] = [];
  const recovering = engine.recover('a', { epoch: 5 });
  if (waits) await recovering;
  for (let turn = 0; turn < 3; turn++) {
    goOn?.();
    expect(await recovering).toEqual({ end: 2 });
    cuts.push(disk.copy());
    await settle();
    await expect(engine.recover('a', { epoch: 4 })).rejects.toMatchObject(none('FENCED'));
    expect(await contentOf(engine, 'a')).toEqual(bytesOf(2));
    cuts.push(disk.copy());
    // and after more rounds, when the log has nothing of it any more
    await written(engine, `more ${turn}`, 3, 9000);
    await settle();
  }
  await engine.close();
  for (const [at, left] of [...cuts, disk].entries()) {
    const again = await openInMemory(left);
    expect(await contentOf(again.engine, 'a'), `${at}`).toEqual(bytesOf(2));
    await expect(again.engine.recover('a', { epoch: 4 }), `${at}`).rejects.toMatchObject(none('FENCED'));
    expect(await again.engine.recover('a', { epoch: 5 })).toEqual({ end: 2 });
    await again.engine.close();
  }
});

test('sealed segments stay sealed though a file of one of them can not be removed', async () => {
  const disk = new MemoryDisk();
  const clock = new VirtualClock();
  const { engine } = await openInMemory(disk, { clock, config: { checkpointBytes: 80_000 } });
  // the first group makes a round begin
  await create(engine, 'first');
  await settle();
  const ids = ['a', 'b', 'c'];
  for (const id of ids) await (await written(engine, id, 2)).seal();
  for (const id of ids) disk.files.set(`/r/segments/${id}.head`, Buffer.alloc(10));
  let failed = 0;
  disk.fault = (call) => (call === 'unlink /r/segments/a.head' && failed++ === 0 ? coded('EIO') : undefined);
  for (let round = 0; round < 4; round++) {
    await written(engine, `more ${round}`, 5, 15_000);
    await settle();
    await clock.advance(1000);
    await settle();
  }
  expect(failed).toBe(1);
  const left = disk.copy();
  await engine.close();
  for (const one of [left, disk]) {
    const again = await openInMemory(one);
    for (const id of ids) expect(await contentOf(again.engine, id), id).toEqual(bytesOf(2));
    await again.engine.close();
  }
});

describe('reading a sealed segment', () => {
  test('goes on while it leaves the log, and is refused before it is sealed', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const writer = await written(engine, 'a', 2);
    await expect(engine.openReader('a')).rejects.toMatchObject(none('SEGMENT_NOT_SEALED'));
    await writer.seal();
    const reader = await engine.openReader('a');
    expect(reader.offsets()).toEqual({ base: 0, committed: 2, end: 2, sealed: true });
    expect(Buffer.from(await reader.state())).toEqual(STATE);
    await engine.close();
  });
});

describe('ingesting', () => {
  test('twice with one uid is once, wherever the segment is by then; with another it is refused', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const result = await engine.ingest('a', INGESTION, chunks(bytesOf(3)));
    disk.calls.length = 0;
    const never = chunks(Buffer.from('nobody looks at it'));
    expect(await engine.ingest('a', INGESTION, never)).toEqual(result);
    await expect(engine.ingest('a', { ...INGESTION, uid: 'two' }, never)).rejects.toMatchObject(none('SEGMENT_EXISTS'));
    expect(disk.calls).toEqual([]);
    // in the table, for an epoch that is written down
    await engine.recover('a', { epoch: 4 });
    expect(await engine.ingest('a', INGESTION, never)).toEqual(result);
    await expect(engine.ingest('a', { ...INGESTION, uid: 'two' }, never)).rejects.toMatchObject(none('SEGMENT_EXISTS'));
    await (await written(engine, 'own', 1)).seal();
    await written(engine, 'open', 1);
    disk.files.set('/r/segments/left.log', Buffer.alloc(10));
    for (const id of ['own', 'open', 'left'])
      for (const uid of ['one', ''])
        await expect(engine.ingest(id, { ...INGESTION, uid }, never), id).rejects.toMatchObject(none('SEGMENT_EXISTS'));
    await engine.close();
    const again = await openInMemory(disk);
    for (const id of ['own'])
      for (const uid of ['one', ''])
        await expect(again.engine.ingest(id, { ...INGESTION, uid }, never)).rejects.toMatchObject(
          none('SEGMENT_EXISTS'),
        );
    // a footer is a segment, though its log is gone
    const log = disk.files.get('/r/segments/own.log') as Buffer;
    disk.files.delete('/r/segments/own.log');
    await expect(again.engine.ingest('own', INGESTION, never)).rejects.toMatchObject(none('SEGMENT_EXISTS'));
    disk.files.set('/r/segments/own.log', log);
    expect(await again.engine.ingest('a', INGESTION, never)).toEqual(result);
    expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(3));
    await again.engine.close();
  });

  test('is not to be seen before it has ended, and can be asked for then', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const seen: string[][] = [];
    disk.hold = async () => {
      disk.hold = async (call) => {
        if (call.startsWith('rename') || call.startsWith('syncDirectory'))
          seen.push(await engine.list({ prefix: '', limit: 9 }));
      };
    };
    await engine.ingest('a', INGESTION, chunks(bytesOf(3)));
    disk.hold = () => undefined;
    expect(seen.length).toBeGreaterThan(3);
    expect(seen.flat()).toEqual([]);
    expect(await engine.list({ prefix: '', limit: 9 })).toEqual(['a']);
    // one that fails is not hidden when the name is used by another
    disk.fault = (call) => (call.startsWith('rename') ? coded('EIO') : undefined);
    await expect(engine.ingest('b', INGESTION, chunks(bytesOf(3)))).rejects.toMatchObject({ code: 'IO_ERROR' });
    disk.fault = () => undefined;
    await engine.ingest('b', INGESTION, chunks(bytesOf(3)));
    expect(await engine.list({ prefix: '', limit: 9 })).toEqual(['a', 'b']);
    await engine.close();
  });

  test('of a name that was deleted before gives the new bytes, and no open file of the old ones', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    for (const end of [3, 2, 1]) {
      const options = { ...INGESTION, end, uid: `${end}` };
      const of = Buffer.concat([batch(0, 50 * end)]);
      await engine.ingest('a', options, chunks(of));
      const reader = await engine.openReader('a');
      expect(Buffer.from((await reader.read(0, { maxBytes: 1 << 20 })).bytes)).toEqual(of);
      await engine.delete('a');
    }
    await engine.close();
  });

  test('is refused on a full disk before anything is written', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    disk.free = 0;
    const { engine } = await openInMemory(disk, { clock });
    disk.calls.length = 0;
    await expect(engine.ingest('a', INGESTION, chunks(bytesOf(3)))).rejects.toMatchObject(none('DISK_FULL'));
    expect(disk.calls).toEqual([]);
    await engine.close();
  });
});

describe('deleting', () => {
  test('an open segment ends its writer, takes all its files, and stays done after a crash', async () => {
    const disk = await closed({}, { a: 2 });
    const { engine } = await openInMemory(disk, { config: { writeBackBytes: 4096 } });
    const writer = await create(engine, 'b', 1, Buffer.alloc(2000));
    await append(writer, 0, 3, 3000);
    await settle();
    for (const kind of ['log', 'index', 'head', 'footer'])
      if (!disk.files.has(`/r/segments/b.${kind}`)) disk.files.set(`/r/segments/b.${kind}`, Buffer.alloc(3));
    const deleting = engine.delete('b');
    await settle();
    await expect(writer.append([batch(3)], { base: 3 })).rejects.toMatchObject({ code: 'FENCED' });
    await deleting;
    await engine.delete('a');
    expect([...disk.files.keys()].filter((path) => path.startsWith('/r/segments/'))).toEqual([]);
    expect(await engine.list({ prefix: '', limit: 9 })).toEqual([]);
    const left = disk.copy();
    await engine.close();
    for (const one of [left, disk]) {
      const again = await openInMemory(one);
      for (const id of ['a', 'b'])
        await expect(again.engine.recover(id, { epoch: 2 })).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
      await again.engine.close();
    }
  });

  test('what never was is nothing, and writes nothing; what is there in part goes', async () => {
    const disk = await closed({ a: 1 });
    const { engine } = await openInMemory(disk);
    disk.calls.length = 0;
    await engine.delete('never');
    expect(disk.calls).toEqual([]);
    const kinds = ['log', 'index', 'head', 'footer'];
    for (const kind of kinds) disk.files.set(`/r/segments/only-${kind}.${kind}`, Buffer.alloc(10));
    for (const kind of kinds) await engine.delete(`only-${kind}`);
    await engine.delete('a');
    await engine.delete('a');
    expect([...disk.files.keys()].filter((path) => path.startsWith('/r/segments/'))).toEqual([]);
    await expect(engine.openReader('a')).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
    await engine.close();
  });

  test('is in the log before a file goes, and its names are synced by the next checkpoint', async () => {
    const disk = await closed({ a: 1 });
    const { engine } = await openInMemory(disk);
    disk.calls.length = 0;
    await engine.delete('a');
    const first = disk.calls.findIndex((call) => call.startsWith('unlink'));
    expect(disk.calls.slice(0, first).some(ofLog)).toBe(true);
    disk.calls.length = 0;
    await engine.close();
    const names = disk.calls.indexOf('syncDirectory /r/segments');
    expect(names).toBeGreaterThanOrEqual(0);
    expect(names).toBeLessThan(disk.calls.indexOf('rename /r/checkpoint'));
  });

  test('that can not be written to the log takes nothing', async () => {
    const disk = await closed({ a: 2 }, { b: 2 });
    const { engine } = await openInMemory(disk);
    disk.fault = (call) => (call.startsWith('write /r/wal/0') ? coded('EIO') : undefined);
    for (const id of ['a', 'b']) await expect(engine.delete(id)).rejects.toMatchObject({ code: 'IO_ERROR' });
    disk.fault = () => undefined;
    expect(await contentOf(engine, 'a')).toEqual(bytesOf(2));
    expect(await engine.recover('b', { epoch: 2 })).toEqual({ end: 2 });
    await engine.close();
  });

  test('is the end of it for a checkpoint that had it on its list, and for whoever reads it', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine } = await openInMemory(disk, { clock, config: { checkpointBytes: 60_000 } });
    await written(engine, 'first', 1);
    await settle();
    // as many as are written at once
    for (const id of ['x', 'y', 'z']) await written(engine, id, 1);
    await (await written(engine, 'a', 2)).seal();
    await engine.ingest('b', INGESTION, chunks(bytesOf(3)));
    const waiting: (() => void)[] = [];
    disk.hold = (call) =>
      /^sync .*segments.[xyz].log/.test(call) ? new Promise<void>((resolve) => waiting.push(resolve)) : undefined;
    // makes a round begin
    const more = await written(engine, 'more', 5, 12_000);
    await settle();
    expect([waiting.length, disk.files.has('/r/segments/a.log')]).toEqual([3, false]);
    const readers = [await engine.openReader('a'), await engine.openReader('b')];
    await readers[1]?.read(0, { maxBytes: 100 });
    await engine.delete('a');
    await engine.delete('b');
    for (const goOn of waiting) goOn();
    await settle();
    expect([...disk.files.keys()].filter((path) => /segments.[ab]\./.test(path))).toEqual([]);
    // that is not in memory
    await expect(readers[1]?.read(0, { maxBytes: 100 })).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
    await more.close();
    await engine.close();
  });

  test('of an open segment that lies in its file is told to whoever reads it as that, and as no loss', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk, { config: { writeBackBytes: 4096 } });
    const writer = await written(engine, 'a', 1, 5000);
    await settle();
    await writer.seal();
    const reader = await engine.openReader('a');
    await engine.delete('a');
    await expect(reader.read(0, { maxBytes: 100 })).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
    await engine.close();
  });

  test('is durable before the log lets go of it, though nothing else has to be written', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk, { config: { writeBackBytes: 4096 } });
    await written(engine, 'a', 1, 5000);
    await settle();
    await engine.delete('a');
    await engine.close();
    const since = disk.calls.slice(disk.calls.indexOf('unlink /r/segments/a.log'));
    const order = ['syncDirectory /r/segments', 'rename /r/checkpoint'];
    expect(since.filter((call) => order.includes(call)).slice(-2)).toEqual(order);
  });

  test('in the middle of a checkpoint leaves nothing unknown in the log: what is not found was never there', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine } = await openInMemory(disk, { clock, config: { checkpointBytes: 60_000 } });
    const writer = await written(engine, 'a', 1);
    await settle();
    let goOn: (() => void) | undefined;
    disk.hold = (call) =>
      goOn === undefined && call === 'syncDirectory /r/segments'
        ? new Promise<void>((resolve) => (goOn = resolve))
        : undefined;
    await written(engine, 'more', 5, 12_000);
    await settle();
    expect(goOn).toBeDefined();
    // behind the place that the checkpoint names, which will not know of the segment
    await append(writer, 1, 3);
    await engine.delete('a');
    goOn?.();
    await settle();
    const left = disk.copy();
    await engine.close();
    const place = decodeCheckpoint(left.files.get('/r/checkpoint') as Buffer, '');
    expect(place?.segments.map(({ id }) => id)).toEqual(['more']);
    const again = await openInMemory(left);
    for (const id of ['a', 'never'])
      await expect(again.engine.openReader(id)).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
    await again.engine.close();
  });

  test('waits for a write of its bytes that is under way, so that it makes no file anew', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk, { config: { writeBackBytes: 4096 } });
    let goOn = (): void => {};
    disk.hold = (call) =>
      call === 'create /r/segments/a.log' ? new Promise<void>((resolve) => (goOn = resolve)) : undefined;
    await written(engine, 'a', 1, 5000);
    await settle();
    let deleted = false;
    const deleting = engine.delete('a').then(() => {
      deleted = true;
    });
    await settle();
    expect(deleted).toBe(false);
    disk.hold = () => undefined;
    goOn();
    await deleting;
    await settle();
    expect([...disk.files.keys()].filter((path) => path.startsWith('/r/segments/'))).toEqual([]);
    await engine.close();
  });
});

describe('listing', () => {
  test('gives what is open and what is in files, once each, sorted, by prefix and by pages', async () => {
    const disk = await closed({ 'x-3': 1, 'x-1': 1, y: 1 }, { 'x-5': 1 });
    const { engine } = await openInMemory(disk);
    await create(engine, 'x-2');
    disk.files.set('/r/segments/x-4.index', Buffer.alloc(1));
    disk.files.set('/r/segments/x-6.log.tmp', Buffer.alloc(1));
    disk.files.set('/r/segments/x-7.head', Buffer.alloc(1));
    disk.files.set('/r/segments/what else', Buffer.alloc(1));
    const list = (prefix: string, limit: number, after?: string) =>
      engine.list({ prefix, limit, ...(after === undefined ? {} : { after }) });
    expect(await list('', 99)).toEqual(['x-1', 'x-2', 'x-3', 'x-5', 'x-7', 'y']);
    expect(await list('x', 2)).toEqual(['x-1', 'x-2']);
    expect(await list('x', 9, 'x-2')).toEqual(['x-3', 'x-5', 'x-7']);
    expect(await list('-', 9)).toEqual([]);
    await engine.close();
  });
});

describe('closing', () => {
  test('ends writers, puts all into files, lets go of everything, once', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine, locks } = await openInMemory(disk, { clock });
    const writer = await written(engine, 'a', 3);
    const sealed = await written(engine, 'b', 3);
    await sealed.seal();
    const closing = engine.close();
    expect(engine.close()).toBe(closing);
    await expect(writer.append([batch(3)], { base: 3 })).rejects.toMatchObject({
      ...none('WRITER_FAILED'),
      cause: { code: 'CLOSED', outcome: 'unknown' },
    });
    await expect(sealed.append([batch(3)], { base: 3 })).rejects.toMatchObject({ code: 'SEGMENT_SEALED' });
    await closing;
    expect([locks.held, clock.pending, disk.openHandles]).toEqual([0, 0, 0]);
    expect(disk.files.get('/r/segments/a.log')).toEqual(bytesOf(3));
    expect(disk.files.get('/r/segments/b.log')).toEqual(bytesOf(3));
    const checkpoint = decodeCheckpoint(disk.files.get('/r/checkpoint') as Buffer, '');
    expect(checkpoint?.segments).toMatchObject([{ id: 'a', end: 3 }]);
  });

  test('lets go of the lock and of the log though it fails', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine, locks } = await openInMemory(disk, { clock });
    await written(engine, 'a', 3);
    const left = disk.copy();
    await engine.close();
    const second = await openInMemory(left, { locks, clock });
    expect(locks.held).toBe(1);
    left.fault = () => coded('EIO');
    await second.engine.close().catch(() => {});
    expect([locks.held, clock.pending, left.openHandles]).toEqual([0, 0, 0]);
    left.fault = () => undefined;
    const third = await openInMemory(left);
    expect(await third.engine.recover('a', { epoch: 2 })).toEqual({ end: 3 });
    expect(await contentOf(third.engine, 'a')).toEqual(bytesOf(3));
    await third.engine.close();
  });

  test('while the log waits for room says of what waits that it is in doubt', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine, locks } = await openInMemory(disk, { clock });
    const writer = await written(engine, 'a', 1);
    disk.fault = (call) => (call.startsWith('write /r/wal') ? coded('ENOSPC') : undefined);
    const waiting = writer.append([batch(1)], { base: 1 }).catch((error: unknown) => error);
    await settle();
    await engine.close();
    expect(await waiting).toMatchObject({ code: 'CLOSED', outcome: 'unknown' });
    expect([locks.held, clock.pending]).toEqual([0, 0]);
    disk.fault = () => undefined;
    const again = await openInMemory(disk);
    expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 1 });
    await again.engine.close();
  });
});

describe('when there is room on the disk again', () => {
  test('what waits in memory is written, and the checkpoint that had failed is tried, without anybody asking', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine } = await openInMemory(disk, { clock, config: { writeBackBytes: 4096, checkpointBytes: 1 << 20 } });
    await settle();
    disk.fault = (call) => (/segments/.test(call) ? coded('ENOSPC') : undefined);
    await written(engine, 'a', 1, 5000);
    await settle();
    disk.fault = () => undefined;
    expect(disk.files.get('/r/segments/a.log')?.length ?? 0).toBe(0);
    await clock.advance(500);
    await settle();
    expect(disk.files.get('/r/segments/a.log')).toEqual(bytesOf(1, 5000));
    await engine.close();
  });

  test('a checkpoint that had failed is tried at once', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine } = await openInMemory(disk, { clock, config: { checkpointBytes: 6000 } });
    // the first group makes a round begin
    await create(engine, 'first');
    await settle();
    disk.fault = (call) => (/segments|checkpoint/.test(call) ? coded('ENOSPC') : undefined);
    await written(engine, 'a', 1, 9000);
    await settle();
    disk.fault = () => undefined;
    await clock.advance(500);
    await settle();
    // its own turn would come after a second
    const place = decodeCheckpoint(disk.files.get('/r/checkpoint') as Buffer, '')?.place.position;
    expect(place).toBeGreaterThan(9000);
    await engine.close();
  });
});

test('what is counted: groups, segments, files, bytes in memory and in the log', async () => {
  const gauges = new Map<string, () => number>();
  const counters = new Map<string, { value: number }>();
  const labels: unknown[] = [];
  const metrics = {
    gauge: (name: string, _: string, read: () => number, of: unknown) => {
      gauges.set(name, read);
      labels.push(of);
    },
    counter: (name: string, _: string, of: unknown) => {
      labels.push(of);
      const counter = { value: 0 };
      counters.set(name, counter);
      return counter;
    },
  } as unknown as Metrics; // what is asked of it
  const disk = new MemoryDisk();
  const { engine } = await openInMemory(disk, { metrics, config: { writeBackBytes: 4096 } });
  expect(labels).toHaveLength(5);
  for (const one of labels) expect(one).toEqual({ instance: 'test' });
  const now = () =>
    Object.fromEntries([...gauges].map(([name, read]) => [name.replace('robust_local_file_', ''), read()]));
  expect(now()).toEqual({ wal_bytes: 0, tail_bytes: 0, open_segments: 0, open_files: 0 });
  await written(engine, 'a', 1);
  await settle();
  expect(now()).toMatchObject({ open_segments: 1, open_files: 0 });
  expect(now().tail_bytes).toBeGreaterThan(100);
  expect(now().wal_bytes).toBeGreaterThan(100);
  expect(counters.get('robust_local_file_wal_groups_total')?.value).toBeGreaterThanOrEqual(2);
  await written(engine, 'b', 1, 5000);
  await settle();
  expect(now()).toMatchObject({ open_segments: 2, open_files: 1 });
  for (const id of ['a', 'b']) await engine.delete(id);
  expect(now()).toMatchObject({ open_segments: 0, open_files: 0, tail_bytes: 0 });
  await engine.close();
});

test('whatever the moment of a crash: what was acknowledged is there, what was deleted is not', async () => {
  const disk = new MemoryDisk();
  const acked = new Map<string, number | 'deleted' | 'in doubt'>();
  const cuts: (readonly [MemoryDisk, ReadonlyMap<string, number | 'deleted' | 'in doubt'>])[] = [];
  // every other step: between two of them lies at most one
  let steps = 0;
  const cut = (): undefined => void (steps++ % 2 === 0 && cuts.push([disk.copy(), new Map(acked)]));
  const config = { writeBackBytes: 4096, checkpointBytes: 16_384 };
  const { engine } = await openInMemory(disk, { config });
  disk.fault = cut;
  const fill = async (id: string, end: number, payloadBytes: number): Promise<SegmentWriter> => {
    const writer = await create(engine, id);
    acked.set(id, 0);
    for (let base = 0; base < end; base++) {
      await writer.append([batch(base, payloadBytes)], { base });
      acked.set(id, base + 1);
    }
    return writer;
  };
  await fill('a', 6, 1000);
  await (await fill('b', 3, 3000)).seal();
  await fill('c', 2, 5000);
  acked.set('c', 'in doubt');
  await engine.delete('c');
  acked.set('c', 'deleted');
  await fill('d', 2, 200);
  await engine.recover('d', { epoch: 4 });
  await fill('e', 4, 9000);
  await settle();
  await engine.close();
  disk.fault = () => undefined;
  expect(cuts.length).toBeGreaterThan(30);
  const sizes: Readonly<Record<string, number>> = { a: 1000, b: 3000, d: 200, e: 9000 };
  for (const [left, then] of cuts) {
    const again = await openInMemory(left, { config });
    for (const [id, end] of then)
      if (end === 'deleted')
        await expect(again.engine.openReader(id)).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
      else if (end !== 'in doubt') {
        const found = await again.engine.recover(id, { epoch: 9 });
        expect(found.end).toBeGreaterThanOrEqual(end);
        if (id !== 'c') expect(await contentOf(again.engine, id)).toEqual(bytesOf(found.end, sizes[id]));
      }
    await again.engine.close();
  }
}, 20_000);
