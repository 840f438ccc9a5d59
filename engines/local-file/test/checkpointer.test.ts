import { nodeFileSystem, silentLogger } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { type Checkpoint, decodeCheckpoint } from '../src/checkpoint.ts';
import { Checkpointer, type CheckpointerOptions } from '../src/checkpointer.ts';
import { FileCache } from '../src/file-cache.ts';
import { OpenSegment } from '../src/segment/open-segment.ts';
import { SegmentPaths } from '../src/segment/segment-files.ts';
import { SegmentLog } from '../src/segment/segment-log.ts';
import { decodeIndex, INDEX_ENTRY_BYTES, SparseIndex } from '../src/segment/sparse-index.ts';
import { readFooter, stateOf } from '../src/segment/stored.ts';
import { SegmentTable } from '../src/segment-table.ts';
import { type LogFile, LogReads } from '../src/wal/log-reads.ts';
import { surveyWal } from '../src/wal/survey.ts';
import { WriteBack } from '../src/write-back.ts';
import { batch } from './batches.ts';
import { temporaryDirectory } from './harness.ts';
import { coded, MemoryDisk } from './memory-disk.ts';
import { TestLog } from './wal-log.ts';

const FILE_BYTES = 10_000;
const PLACE = { sequence: 2, offset: 500, position: 2500 };
const DURABLE = { sequence: 3, offset: 700, position: 12_700 };
const paths = new SegmentPaths('/r');
const of = (id: string, kind: 'log' | 'index' | 'head' | 'footer') => paths.of(id, kind);

function world(options: Partial<CheckpointerOptions> = {}) {
  const disk = new MemoryDisk();
  const clock = new VirtualClock();
  const table = new SegmentTable();
  const cache = new FileCache(disk.fs, 16);
  const writeBack = new WriteBack({ cache, segmentBytes: 1 << 20, totalBytes: 1 << 24, onFull: () => {} });
  const wal = {
    durable: DURABLE,
    dead: undefined as unknown,
    filesReleased: () => void disk.calls.push('filesReleased'),
  };
  const files = {
    made: 4,
    spare: true,
    nextSequence: 9,
    firstGranted: 7,
    namesFrom: (sequence: number) => [`from ${sequence}`],
    release: async (sequence: number) => void disk.calls.push(`release ${sequence}`),
    makeGranted: async () => void disk.calls.push('makeGranted'),
    from: () => [] as unknown[],
  };
  const troubles: (string | undefined)[] = [];
  const checkpointer = new Checkpointer({
    dir: '/r',
    fs: disk.fs,
    clock,
    logger: silentLogger,
    paths,
    cache,
    table,
    writeBack,
    wal,
    logReads: new LogReads(disk.fs),
    files,
    walFileBytes: FILE_BYTES,
    checkpointBytes: 15_000,
    maxGroupBytes: 1024 * 1024,
    generation: 5,
    place: PLACE,
    onTrouble: (detail: string | undefined) => troubles.push(detail),
    ...options,
  } as unknown as CheckpointerOptions); // of the log and its files, what it asks of them
  const written = (): Checkpoint | undefined => {
    const bytes = disk.files.get('/r/checkpoint');
    return bytes === undefined ? undefined : decodeCheckpoint(bytes, '');
  };
  return { disk, clock, table, cache, writeBack, wal, files, troubles, checkpointer, written };
}

type World = ReturnType<typeof world>;

let number = 1;
function segment(
  { table, cache, writeBack }: World,
  id: string,
  facts: {
    readonly batches?: number;
    readonly sealed?: true;
    readonly state?: Uint8Array;
    readonly base?: number;
  } = {},
): OpenSegment {
  const { batches = 2, base = 0, state } = facts;
  const log = new SegmentLog(id, paths, cache, { base, end: base, bytes: 0, index: new SparseIndex(100) });
  const made = new OpenSegment({ id, number: number++, nonce: 77, base, epoch: 3, log });
  if (state !== undefined) made.state = state;
  for (let i = 0; i < batches; i++) log.commit([batch(base + i)], base + i + 1);
  if (facts.sealed) made.sealed = true;
  table.add(made);
  table.touch(made);
  if (batches > 0) writeBack.committed(made);
  return made;
}

const bytesOf = (from: number, to: number): Buffer =>
  Buffer.concat(Array.from({ length: to - from }, (_, i) => batch(from + i)));
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('a round of the checkpointer', () => {
  test('puts everything into files, syncs it, writes the checkpoint, and lets go of the log only then', async () => {
    const w = world();
    segment(w, 'a');
    await w.checkpointer.run();
    const order = [
      `sync ${of('a', 'log')}`,
      `syncDirectory ${paths.dir}`,
      'rename /r/checkpoint',
      'syncDirectory /r',
      'release 3',
      'filesReleased',
    ];
    expect(w.disk.calls.filter((call) => order.includes(call))).toEqual(order);
    expect(w.disk.files.get(of('a', 'log'))).toEqual(bytesOf(0, 2));
    expect(w.checkpointer.place).toEqual(DURABLE);
    expect(w.written()).toMatchObject({
      generation: 5,
      nextSequence: 9,
      nextNumber: w.table.nextNumber,
      place: DURABLE,
      logFiles: ['from 3'],
      maxGroupBytes: 1024 * 1024,
      suspect: false,
      segments: [{ id: 'a', nonce: 77, base: 0, epoch: 3, fencedEpoch: 3, end: 2, bytes: bytesOf(0, 2).length }],
    });
  });

  test('has nothing to do for what has not changed', async () => {
    const w = world();
    // nothing has failed that would be tried again
    w.files.made = 0;
    w.checkpointer.kick();
    await w.checkpointer.run();
    expect(w.disk.calls).not.toContain(`syncDirectory ${paths.dir}`);
    segment(w, 'a');
    await w.checkpointer.run();
    w.disk.calls.length = 0;
    await w.checkpointer.run();
    expect(w.disk.calls.filter((call) => call.includes('/segments'))).toEqual([]);
    expect(w.written()?.segments).toHaveLength(1);
  });

  test('syncs the directory when files were removed', async () => {
    const w = world();
    w.checkpointer.removedFiles();
    await w.checkpointer.run();
    await w.checkpointer.run();
    expect(w.disk.calls.filter((call) => call === `syncDirectory ${paths.dir}`)).toHaveLength(1);
  });

  test('says of a log that was not written since the start that it begins with its next file', async () => {
    const w = world();
    w.wal.durable = { sequence: 0, offset: 123, position: 2500 };
    expect(w.checkpointer.distance).toBe(0);
    await w.checkpointer.run();
    expect(w.checkpointer.place).toEqual({ sequence: 7, offset: 0, position: 2500 });
  });

  test('keeps the place when a sync fails, and tries again after a second', async () => {
    const w = world();
    segment(w, 'a');
    segment(w, 'b');
    w.disk.fault = (call) => (call === `sync ${of('a', 'log')}` ? coded('EIO') : undefined);
    await w.checkpointer.run();
    expect(w.checkpointer.place).toEqual(PLACE);
    expect(w.written()).toBeUndefined();
    expect(w.disk.calls).not.toContain('filesReleased');
    // the other one has its turn
    expect(w.disk.calls).toContain(`sync ${of('b', 'log')}`);
    expect(w.table.dirtyCount).toBe(1);
    // what a failed sync has left is not trusted
    const a = w.table.get('a') as OpenSegment;
    expect(a.mustRewrite).toBe(true);
    a.mustRewrite = false;
    w.disk.fault = () => undefined;
    await w.clock.advance(999);
    expect(w.written()).toBeUndefined();
    await w.clock.advance(1);
    await w.checkpointer.run();
    expect(w.written()?.segments.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(w.clock.pending).toBe(0);
  });

  test('begins no second one while one is under way, and none before its turn after a failure', async () => {
    const w = world();
    w.wal.durable = { sequence: 5, offset: 0, position: 30_000 };
    w.disk.fault = (call) => (call.startsWith('rename') ? coded('EIO') : undefined);
    const round = w.checkpointer.run();
    expect(w.checkpointer.run()).toBe(round);
    await round;
    const before = w.disk.calls.length;
    w.checkpointer.progress();
    await settle();
    expect(w.disk.calls).toHaveLength(before);
    // there may be room on the disk again
    w.disk.fault = () => undefined;
    w.checkpointer.kick();
    await settle();
    expect(w.checkpointer.place).toEqual(w.wal.durable);
    expect(w.clock.pending).toBe(0);
  });

  test('is followed by the next at once when the log has filled up meanwhile', async () => {
    const w = world();
    segment(w, 'a');
    w.disk.hold = (call) => {
      if (call.startsWith('rename')) w.wal.durable = { sequence: 5, offset: 0, position: 30_000 };
      return undefined;
    };
    await w.checkpointer.run();
    await settle();
    expect(w.checkpointer.place).toEqual({ sequence: 5, offset: 0, position: 30_000 });
  });

  test('owes the names of files to the next when the directory could not be synced', async () => {
    const w = world();
    w.files.made = 0;
    segment(w, 'a');
    segment(w, 'b', { sealed: true, state: Buffer.from('') });
    const names = `syncDirectory ${paths.dir}`;
    w.disk.fault = (call) => (call === names ? coded('EIO') : undefined);
    await w.checkpointer.run();
    expect(w.checkpointer.place).toEqual(PLACE);
    expect(w.table.get('b')).toBeDefined();
    w.disk.calls.length = 0;
    w.disk.fault = () => undefined;
    w.checkpointer.kick();
    await w.checkpointer.run();
    expect(w.disk.calls.filter((call) => call === names || call === 'rename /r/checkpoint')).toEqual([
      names,
      'rename /r/checkpoint',
    ]);
    expect(w.table.get('b')).toBeUndefined();
    w.disk.calls.length = 0;
    await w.checkpointer.run();
    expect(w.disk.calls).not.toContain(names);
  });

  test('that could not sync the directory has no checkpoint name what is in files, not one for the log’s files either', async () => {
    const w = world();
    w.files.made = 0;
    segment(w, 'a');
    const names = `syncDirectory ${paths.dir}`;
    w.disk.fault = (call) => (call === names ? coded('ENOSPC') : undefined);
    await w.checkpointer.run();
    w.files.made = 5;
    w.checkpointer.kick();
    await settle();
    await settle();
    // as a row it would be looked for in a file that a power cut may have taken, and not in the log
    expect(w.written()).toBeUndefined();
    w.disk.fault = () => undefined;
    w.disk.calls.length = 0;
    w.files.made = 6;
    w.checkpointer.kick();
    await settle();
    await settle();
    expect(w.disk.calls.filter((call) => call === names || call === 'rename /r/checkpoint')).toEqual([
      names,
      'rename /r/checkpoint',
    ]);
    expect(w.written()).toMatchObject({ place: PLACE, segments: [{ id: 'a', end: 2 }] });
  });
});

describe('when rounds begin', () => {
  test('as soon as the log is so far ahead, and not before', async () => {
    const w = world();
    w.files.made = 0;
    w.wal.durable = { ...PLACE, sequence: 3, offset: 500 + 4999 };
    expect(w.checkpointer.distance).toBe(14_999);
    w.checkpointer.progress();
    await settle();
    expect(w.written()).toBeUndefined();
    w.wal.durable = { ...PLACE, sequence: 3, offset: 500 + 5000 };
    w.checkpointer.progress();
    await settle();
    expect(w.written()?.place).toEqual(w.wal.durable);
    expect(w.checkpointer.distance).toBe(0);
    w.wal.durable = { ...PLACE, sequence: 2, offset: 0 };
    expect(w.checkpointer.distance).toBe(0);
  });

  test('at once when the log runs out of files', async () => {
    const w = world();
    w.files.made = 0;
    w.wal.durable = { ...PLACE, offset: 501 };
    w.files.spare = false;
    w.checkpointer.progress();
    w.files.spare = true;
    await settle();
    expect(w.disk.calls).toContain('release 2');
  });

  test('after a start when those who recover have had their turn, or the log runs out of files', async () => {
    const w = world();
    w.files.made = 0;
    w.checkpointer.runSoon();
    w.wal.durable = { sequence: 9, offset: 0, position: 80_000 };
    w.checkpointer.progress();
    await w.clock.advance(4999);
    expect(w.disk.calls).toEqual([]);
    await w.clock.advance(1);
    await settle();
    expect(w.written()?.place).toEqual(w.wal.durable);

    // whoever was killed before may have synced no names, of files that it removed, too
    const order = [`syncDirectory ${paths.dir}`, 'rename /r/checkpoint'];
    expect(w.disk.calls.filter((call) => order.includes(call))).toEqual(order);

    const full = world();
    full.files.made = 0;
    full.files.spare = false;
    full.checkpointer.runSoon();
    full.files.spare = true;
    await settle();
    expect(full.disk.calls).toContain('filesReleased');
    expect(full.clock.pending).toBe(0);
  });

  test('names a new file of the log in the checkpoint, which keeps its place', async () => {
    const w = world();
    segment(w, 'a');
    w.checkpointer.progress();
    w.checkpointer.progress();
    await settle();
    await settle();
    expect(w.disk.calls.filter((call) => call === 'rename /r/checkpoint')).toHaveLength(1);
    expect(w.written()).toMatchObject({ place: PLACE, logFiles: ['from 2'] });
    expect(w.disk.files.has(of('a', 'log'))).toBe(false);
    w.checkpointer.progress();
    await settle();
    expect(w.disk.calls.filter((call) => call === 'rename /r/checkpoint')).toHaveLength(1);
    w.files.made = 5;
    w.checkpointer.progress();
    await settle();
    expect(w.disk.calls.filter((call) => call === 'rename /r/checkpoint')).toHaveLength(2);
    // one that fails is no reason to stop: the next round writes another
    w.files.made = 6;
    w.disk.fault = (call) => (call.startsWith('rename') ? coded('EIO') : undefined);
    w.checkpointer.progress();
    await settle();
    await settle();
    w.disk.fault = () => undefined;
    await w.checkpointer.run();
    expect(w.written()?.place).toEqual(DURABLE);
  });

  test('waits for the checkpoint that only names files', async () => {
    const w = world();
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    w.disk.hold = (call) => (call.startsWith('rename') ? held : undefined);
    w.checkpointer.progress();
    const round = w.checkpointer.run();
    await settle();
    expect(w.disk.calls).not.toContain('filesReleased');
    goOn();
    await round;
    expect(w.written()?.place).toEqual(DURABLE);
  });

  test('writes the first checkpoint after the files that it names were made', async () => {
    const w = world();
    await w.checkpointer.begin(PLACE);
    expect(w.disk.calls.slice(0, 2)).toEqual(['makeGranted', 'create /r/checkpoint.tmp']);
    expect(w.written()?.place).toEqual(PLACE);
  });
});

describe('how many segments at once', () => {
  function held(w: World, count: number) {
    for (let i = 0; i < count; i++) segment(w, `s${i}`);
    const waiting: (() => void)[] = [];
    w.disk.hold = (call) =>
      call.startsWith('sync /r/segments') ? new Promise<void>((resolve) => waiting.push(resolve)) : undefined;
    const free = async (): Promise<void> => {
      w.disk.hold = () => undefined;
      for (const go of waiting) go();
      await settle();
    };
    return { free, waiting: () => waiting.length };
  }

  test('one in the first round, three when the log runs out of files meanwhile', async () => {
    const w = world();
    w.files.made = 0;
    const { free, waiting } = held(w, 5);
    const round = w.checkpointer.run();
    for (let i = 0; i < 5; i++) await settle();
    expect(waiting()).toBe(1);
    w.files.spare = false;
    w.checkpointer.progress();
    w.checkpointer.progress();
    for (let i = 0; i < 5; i++) await settle();
    expect(waiting()).toBe(3);
    w.files.spare = true;
    await free();
    await round;
    expect(w.written()?.segments).toHaveLength(5);
  });

  test.each([
    ['when there is no file to spare', (w: World) => Object.assign(w.files, { spare: false })],
    ['after the first round', (w: World) => w.checkpointer.run()],
  ])('three %s', async (_, before) => {
    const w = world();
    await before(w);
    const { free, waiting } = held(w, 5);
    const round = w.checkpointer.run();
    for (let i = 0; i < 5; i++) await settle();
    w.files.spare = true;
    expect(waiting()).toBe(3);
    await free();
    await round;
  });

  test('three when it is closed', async () => {
    const w = world();
    const { free, waiting } = held(w, 5);
    const closing = w.checkpointer.close();
    for (let i = 0; i < 5; i++) await settle();
    expect(waiting()).toBe(3);
    await free();
    await closing;
    expect(w.written()?.segments).toHaveLength(5);
  });
});

describe('closing', () => {
  test('syncs what is there, once the round that is under way has ended', async () => {
    const w = world();
    w.checkpointer.runSoon();
    segment(w, 'a');
    const round = w.checkpointer.run();
    segment(w, 'b');
    await w.checkpointer.close();
    await round;
    expect(w.written()?.segments.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(w.clock.pending).toBe(0);
    w.wal.durable = { sequence: 99, offset: 0, position: 1e6 };
    const { length } = w.disk.calls;
    w.checkpointer.progress();
    await settle();
    expect(w.disk.calls).toHaveLength(length);
  });

  test.each([
    [
      'more segments than are worth it',
      (w: World) => Array.from({ length: 1025 }, (_, i) => segment(w, `s${i}`, { batches: 0 })),
    ],
    ['a log that is dead', (w: World) => Object.assign(w.wal, { dead: new Error('dead') }) && segment(w, 'a')],
  ])('leaves %s to the next start', async (_, before) => {
    const w = world();
    before(w);
    await w.checkpointer.close();
    expect(w.disk.calls).toEqual([]);
  });

  test('syncs as many as are worth it', async () => {
    const w = world();
    for (let i = 0; i < 1024; i++) segment(w, `s${i}`, { batches: 0 });
    await w.checkpointer.close();
    expect(w.written()?.segments).toHaveLength(1024);
  });

  test('tries nothing again that fails then', async () => {
    const w = world();
    segment(w, 'a');
    w.disk.fault = (call) => (call.startsWith('sync') ? coded('EIO') : undefined);
    await w.checkpointer.close();
    expect(w.clock.pending).toBe(0);
    expect(w.troubles).toEqual([]);
  });
});

describe('trouble', () => {
  test('is told when rounds have failed for ten seconds, and taken back when one succeeds', async () => {
    const w = world();
    segment(w, 'a');
    w.disk.fault = (call) =>
      call.startsWith('write') ? Object.assign(coded('EIO'), { message: 'bad disk' }) : undefined;
    await w.checkpointer.run();
    for (let i = 0; i < 9; i++) await w.clock.advance(1000);
    for (let i = 0; i < 5; i++) await settle();
    expect(w.troubles).toEqual([]);
    await w.clock.advance(1000);
    for (let i = 0; i < 5; i++) await settle();
    expect(w.troubles).toEqual([`${of('a', 'log')}: bad disk`]);
    await w.clock.advance(3000);
    for (let i = 0; i < 5; i++) await settle();
    expect(w.troubles).toHaveLength(1);
    w.disk.fault = () => undefined;
    await w.clock.advance(1000);
    await w.checkpointer.run();
    expect(w.troubles).toEqual([`${of('a', 'log')}: bad disk`, undefined]);
    await w.checkpointer.run();
    expect(w.troubles).toHaveLength(2);
  });

  test('names the file that the error names', async () => {
    const w = world();
    segment(w, 'a');
    w.disk.fault = (call) =>
      call.startsWith('write') ? Object.assign(coded('EIO'), { path: '/other', message: 'bad' }) : undefined;
    await w.checkpointer.run();
    for (let i = 0; i < 12; i++) {
      await w.clock.advance(1000);
      await settle();
    }
    expect(w.troubles).toEqual(['/other: bad']);
  });

  test('that began anew is counted anew', async () => {
    const w = world();
    const fails = () => coded('EIO');
    w.disk.fault = fails;
    await w.checkpointer.run();
    await w.clock.advance(8000);
    w.disk.fault = () => undefined;
    await w.clock.advance(1000);
    await w.checkpointer.run();
    w.disk.fault = fails;
    await w.checkpointer.run();
    for (let i = 0; i < 5; i++) await w.clock.advance(1000);
    expect(w.troubles).toEqual([]);
  });

  test.each([
    ['ENOSPC', coded('ENOSPC')],
    ['EDQUOT', coded('EDQUOT')],
    ['DISK_FULL', coded('DISK_FULL')],
    ['a cause that is one', Object.assign(coded('IO_ERROR'), { cause: coded('ENOSPC') })],
  ])('is not a full disk, which is told elsewhere: %s', async (_, error) => {
    const w = world();
    w.disk.fault = (call) => (call.startsWith('rename') ? error : undefined);
    await w.checkpointer.run();
    for (let i = 0; i < 15; i++) await w.clock.advance(1000);
    expect(w.troubles).toEqual([]);
  });
});

describe('the files of a segment', () => {
  test('an open one: log, index, and what the checkpoint says of both', async () => {
    const w = world();
    const a = segment(w, 'a', { batches: 4, base: 10 });
    await w.checkpointer.run();
    expect(a.log.index.count).toBeGreaterThan(1);
    expect(a.log.indexSaved).toBe(a.log.index.count);
    const indexFile = w.disk.files.get(of('a', 'index')) as Buffer;
    expect(decodeIndex(indexFile, 10, a.log.index.count)).toHaveLength(3 * a.log.index.count);
    expect(indexFile).toHaveLength((1 + a.log.index.count) * INDEX_ENTRY_BYTES);
    expect(w.disk.calls).not.toContain(`sync ${of('a', 'index')}`);
    const { count, lastPosition, maxTimestamp } = a.log.index;
    const facts = {
      end: 14,
      bytes: bytesOf(10, 14).length,
      indexCount: count,
      lastIndexed: lastPosition,
      maxTimestamp,
    };
    expect(w.written()?.segments[0]).toMatchObject(facts);
    expect(a.synced).toEqual(facts);
    // more of both, behind what is there
    const first = w.disk.files.get(of('a', 'index')) as Buffer;
    for (let i = 14; i < 18; i++) a.log.commit([batch(i)], i + 1);
    w.writeBack.committed(a);
    w.table.touch(a);
    await w.checkpointer.run();
    const more = w.disk.files.get(of('a', 'index')) as Buffer;
    expect(more.length).toBeGreaterThan(first.length);
    expect(more.subarray(0, first.length)).toEqual(first);
    expect(decodeIndex(more, 10, a.log.index.count)).toHaveLength(3 * a.log.index.count);
    expect(w.disk.files.get(of('a', 'log'))).toEqual(bytesOf(10, 18));
    // nothing new: nothing is written
    w.table.touch(a);
    w.disk.calls.length = 0;
    await w.checkpointer.run();
    expect(w.disk.calls.filter((call) => /(write|sync) .*segments.a/.test(call))).toEqual([]);
  });

  test('a sealed one has its footer before the log lets go of it, and leaves the table then', async () => {
    const w = world();
    w.disk.files.set(of('a', 'head'), Buffer.from('old'));
    segment(w, 'a', { sealed: true, state: Buffer.from('fold') });
    await w.checkpointer.run();
    const order = [
      `sync ${of('a', 'log')}`,
      `sync ${of('a', 'index')}`,
      `rename ${of('a', 'footer')}`,
      `syncDirectory ${paths.dir}`,
      `unlink ${of('a', 'head')}`,
      'rename /r/checkpoint',
    ];
    expect(w.disk.calls.filter((call) => order.includes(call))).toEqual(order);
    expect(await readFooter(w.disk.fs, paths, 'a')).toMatchObject({ base: 0, end: 2, sealed: true });
    expect((await stateOf(w.disk.fs, paths, 'a')).toString()).toBe('fold');
    expect(w.table.get('a')).toBeUndefined();
    expect(w.written()?.segments).toEqual([]);
  });

  test('one that is sealed when its index was written already has that synced; without batches it has none', async () => {
    const w = world();
    const a = segment(w, 'a');
    await w.checkpointer.run();
    expect(w.disk.calls).not.toContain(`sync ${of('a', 'index')}`);
    a.sealed = true;
    a.state = Buffer.from('');
    w.table.touch(a);
    segment(w, 'empty', { batches: 0, sealed: true, state: Buffer.from('') });
    await w.checkpointer.run();
    expect(w.disk.calls).toContain(`sync ${of('a', 'index')}`);
    expect(w.disk.files.has(of('empty', 'index'))).toBe(false);
    expect(w.disk.files.has(of('empty', 'footer'))).toBe(true);
  });

  test('one that has been made again under its name stays in the table', async () => {
    const w = world();
    const a = segment(w, 'a', { sealed: true, state: Buffer.from('') });
    w.disk.hold = (call) => {
      if (call === `syncDirectory ${paths.dir}`) {
        a.deleted = true;
        w.table.remove(a);
        segment(w, 'a', { state: Buffer.from('new') });
      }
      return undefined;
    };
    await w.checkpointer.run();
    w.disk.hold = () => undefined;
    expect(w.table.get('a')?.state?.toString()).toBe('new');
    expect(w.disk.calls).not.toContain(`unlink ${of('a', 'head')}`);
  });

  test('one that was recovered while its footer was written stays until the footer says so, and no row says that it is open', async () => {
    const w = world();
    const a = segment(w, 'a', { sealed: true, state: Buffer.from('x') });
    w.disk.files.set(of('a', 'head'), Buffer.alloc(1));
    w.disk.hold = (call) => {
      if (call !== `syncDirectory ${paths.dir}`) return undefined;
      a.fencedEpoch = 9;
      w.table.touch(a);
      w.disk.hold = () => undefined;
      return undefined;
    };
    await w.checkpointer.run();
    expect(w.table.get('a')).toBe(a);
    expect(w.disk.files.has(of('a', 'head'))).toBe(true);
    expect(await readFooter(w.disk.fs, paths, 'a')).toMatchObject({ fencedEpoch: 3 });
    expect(w.written()).toMatchObject({ place: DURABLE, segments: [] });
    await w.checkpointer.run();
    expect(await readFooter(w.disk.fs, paths, 'a')).toMatchObject({ fencedEpoch: 9 });
    expect([w.table.get('a'), w.disk.files.has(of('a', 'head'))]).toEqual([undefined, false]);
  });

  test('those whose footers are durable are no rows of the checkpoint, though a head could not be removed', async () => {
    const w = world();
    for (const id of ['a', 'b', 'c']) segment(w, id, { sealed: true, state: Buffer.from('x') });
    let failed = false;
    w.disk.fault = (call) => {
      if (failed || call !== `unlink ${of('a', 'head')}`) return undefined;
      failed = true;
      return coded('EIO');
    };
    await w.checkpointer.run();
    expect([failed, w.checkpointer.place]).toEqual([true, PLACE]);
    await w.checkpointer.run();
    expect(w.written()).toMatchObject({ place: DURABLE, segments: [] });
    expect(w.table.size).toBe(0);
  });

  test('a sealed one that was deleted is not taken out twice', async () => {
    const w = world();
    const a = segment(w, 'a', { sealed: true, state: Buffer.from('') });
    w.disk.hold = (call) => {
      if (call === `syncDirectory ${paths.dir}`) a.deleted = true;
      return undefined;
    };
    await w.checkpointer.run();
    expect(w.table.get('a')).toBe(a);
  });

  test('a head that can not be removed keeps the place of the log', async () => {
    const w = world();
    segment(w, 'a', { sealed: true, state: Buffer.from('') });
    w.disk.files.set(of('a', 'head'), Buffer.alloc(1));
    w.disk.fault = (call) => (call.startsWith('unlink') ? coded('EIO') : undefined);
    await w.checkpointer.run();
    expect(w.checkpointer.place).toEqual(PLACE);
  });

  test('a large state has a file of its own, a small one stands in the checkpoint', async () => {
    const w = world();
    const small = Buffer.alloc(512, 1);
    const large = Buffer.alloc(513, 2);
    segment(w, 'small', { state: small });
    const big = segment(w, 'large', { state: large });
    await w.checkpointer.write(PLACE);
    // in no file yet: it is made again from the log
    expect(w.written()?.segments.map(({ id }) => id)).toEqual(['small']);
    await w.checkpointer.run();
    expect(w.disk.files.has(of('small', 'head'))).toBe(false);
    expect(await stateOf(w.disk.fs, paths, 'large')).toEqual(large);
    expect(big.state).toBeUndefined();
    expect(w.written()?.segments.map(({ id, state }) => [id, state])).toEqual([
      ['small', small.toString('base64')],
      ['large', undefined],
    ]);
    // sealed later: its state comes from its head
    big.sealed = true;
    w.table.touch(big);
    await w.checkpointer.run();
    expect(await stateOf(w.disk.fs, paths, 'large')).toEqual(large);
    expect(await readFooter(w.disk.fs, paths, 'large')).toMatchObject({ sealed: true });
  });

  test('one with a footer is not in the checkpoint', async () => {
    const w = world();
    segment(w, 'a').hasFooter = true;
    await w.checkpointer.write(PLACE);
    expect(w.written()?.segments).toEqual([]);
  });

  test('a damaged one is written as far as it goes, and does not keep the log', async () => {
    const w = world();
    const a = segment(w, 'a');
    a.corrupt = 'a bit has turned';
    a.mustRewrite = true;
    await w.checkpointer.run();
    expect(w.written()).toMatchObject({
      place: DURABLE,
      segments: [{ id: 'a', corrupt: 'a bit has turned', end: 0, bytes: 0 }],
    });
  });

  test('a damaged one that lies in the log is written from there, or not at all', async () => {
    for (const broken of [false, true]) {
      const w = world();
      const a = segment(w, 'a', { batches: 0 });
      const bytes = bytesOf(0, 2);
      const file = {
        hold: () => {},
        release: () => {},
        read: async (into: Buffer, at: number, length: number, position: number) => {
          if (broken) throw coded('EIO');
          return bytes.copy(into, at, position, position + length);
        },
      };
      a.log.adopt(bytes, file as unknown as LogFile, 0);
      a.corrupt = 'a bit has turned';
      await w.checkpointer.run();
      expect(w.checkpointer.place).toEqual(DURABLE);
      expect(a.log.tail.isInLog).toBe(false);
      expect(w.disk.files.get(of('a', 'log'))).toEqual(broken ? Buffer.alloc(0) : bytes);
    }
  });

  test('one that was deleted before its turn has no files', async () => {
    const w = world();
    segment(w, 'a').deleted = true;
    await w.checkpointer.run();
    expect([...w.disk.files.keys()]).toEqual(['/r/checkpoint']);
  });

  test('who deletes one waits until nothing is written into its files any more', async () => {
    const w = world();
    const a = segment(w, 'a', { sealed: true, state: Buffer.from('x') });
    const b = segment(w, 'b');
    let goOn = (): void => {};
    w.disk.hold = (call) =>
      call === `rename ${of('a', 'footer')}` ? new Promise<void>((resolve) => (goOn = resolve)) : undefined;
    const round = w.checkpointer.run();
    while (w.disk.calls.at(-1) !== `rename ${of('a', 'footer')}`) await settle();
    await w.checkpointer.leaves(b);
    a.deleted = true;
    let left = false;
    const leaves = w.checkpointer.leaves(a).then(() => {
      left = true;
    });
    await settle();
    expect(left).toBe(false);
    goOn();
    await leaves;
    const { length } = w.disk.calls;
    await round;
    expect(w.disk.calls.slice(length).filter((call) => call.includes('segments/a'))).toEqual([]);
    await w.checkpointer.leaves(a);
  });

  test('one that was deleted is not touched again though its files failed', async () => {
    const w = world();
    const a = segment(w, 'a');
    w.disk.fault = (call) => {
      if (!call.startsWith('sync /r/segments')) return undefined;
      a.deleted = true;
      return coded('EIO');
    };
    await w.checkpointer.run();
    expect(w.table.dirtyCount).toBe(0);
  });
});

describe('writing again what a failed sync may have lost', () => {
  async function logged(offsets: readonly number[], of: number, payloadBytes: number) {
    const dir = await temporaryDirectory();
    const log = new TestLog(dir, { generation: 5, position: 0, fileBytes: 4 * 1024 * 1024 });
    log.use(1, 2);
    // another segment's, at the same offset
    log.group([{ number: of + 100, offset: 0, payloadBytes: payloadBytes + 7 }]);
    for (const offset of offsets) log.group([{ number: of, offset, payloadBytes }]);
    const position = log.position;
    // behind what is committed
    log.group([{ number: of, offset: offsets.length, payloadBytes }]);
    log.close();
    const { replay: files } = await surveyWal(nodeFileSystem, dir, 2);
    return { files, position };
  }

  async function failed(offsets: readonly number[], payloadBytes = 100) {
    const mine = number;
    const { files, position } = await logged(offsets, mine, payloadBytes);
    const logReads = new LogReads(nodeFileSystem);
    const w = world({ logReads, place: { sequence: 2, offset: 0, position: 0 } });
    w.files.from = () => files as unknown[];
    w.wal.durable = { sequence: 2, offset: 1, position };
    const a = segment(w, 'a', { batches: 0 });
    expect(a.number).toBe(mine);
    for (let i = 0; i < 3; i++) a.log.commit([batch(i, payloadBytes)], i + 1);
    const all = Buffer.concat([0, 1, 2].map((i) => batch(i, payloadBytes)));
    w.writeBack.committed(a);
    w.disk.fault = (call) => (call === `sync ${of('a', 'log')}` ? coded('EIO') : undefined);
    await w.checkpointer.run();
    expect(a.mustRewrite).toBe(true);
    // the page cache calls it clean, and the disk has something else
    w.disk.files.set(of('a', 'log'), Buffer.alloc(all.length));
    w.disk.fault = () => undefined;
    return { w, a, all, logReads };
  }

  test.each([100, 400_000])('takes it from the log, batches of %i bytes', async (payloadBytes) => {
    const { w, a, all, logReads } = await failed([0, 1, 2], payloadBytes);
    w.disk.calls.length = 0;
    w.disk.opened.length = 0;
    w.checkpointer.kick();
    await w.checkpointer.run();
    expect(w.disk.files.get(of('a', 'log'))?.equals(all)).toBe(true);
    expect(w.disk.calls.filter((call) => call.endsWith('a.log')).at(-1)).toBe(`sync ${of('a', 'log')}`);
    // not by the handle that has failed
    expect(w.disk.opened).toContain(of('a', 'log'));
    expect(a.mustRewrite).toBe(false);
    expect(a.synced.end).toBe(3);
    expect(w.checkpointer.place).toEqual(w.wal.durable);
    expect(logReads.open).toBe(0);
  });

  test('makes the file that is gone', async () => {
    const { w, all } = await failed([0, 1, 2]);
    w.disk.files.delete(of('a', 'log'));
    w.checkpointer.kick();
    await w.checkpointer.run();
    expect(w.disk.files.get(of('a', 'log'))).toEqual(all);
  });

  test('writes only what is behind that which is known to be there', async () => {
    const { w, a } = await failed([0, 1, 2]);
    const first = bytesOf(0, 1);
    a.synced = { ...a.synced, end: 1, bytes: first.length };
    w.disk.files.set(of('a', 'log'), Buffer.concat([first, Buffer.alloc(bytesOf(1, 3).length)]));
    w.checkpointer.kick();
    await w.checkpointer.run();
    expect(w.disk.files.get(of('a', 'log'))).toEqual(bytesOf(0, 3));
  });

  test('keeps the place of the log when not all of it is found there', async () => {
    const { w, a } = await failed([0, 1]);
    w.checkpointer.kick();
    await w.checkpointer.run();
    expect(w.disk.files.get(of('a', 'log'))).toEqual(Buffer.alloc(bytesOf(0, 3).length));
    expect(a.mustRewrite).toBe(true);
    expect(w.checkpointer.place.position).toBe(0);
    for (let i = 0; i < 12; i++) {
      await w.clock.advance(1000);
      await w.checkpointer.run();
    }
    expect(w.troubles.join()).toContain('The log has nothing behind offset 2');
    await w.checkpointer.close();
  });
});
