import type { StorageEngine } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test, vi } from 'vitest';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../src/checkpoint.ts';
import { surveyWal } from '../src/wal/survey.ts';
import { batch } from './batches.ts';
import { coded, MemoryDisk } from './memory-disk.ts';
import { openInMemory } from './memory-engine.ts';

vi.mock('../src/wal/wal-worker.ts', () => import('./inline-wal-worker.ts'));

const STATE = Buffer.from('a fold');
const settle = async () => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

const create = (engine: StorageEngine, id: string, epoch = 1) =>
  engine.create(id, { base: 0, epoch, config: {}, state: STATE });

/** Appends [0, end) to a new segment. */
async function written(engine: StorageEngine, id: string, end: number, payloadBytes = 100) {
  const writer = await create(engine, id);
  for (let base = 0; base < end; base++) await writer.append([batch(base, payloadBytes)], { base });
  return writer;
}

const bytesOf = (end: number, payloadBytes = 100): Buffer =>
  Buffer.concat(Array.from({ length: end }, (_, base) => batch(base, payloadBytes)));

async function contentOf(engine: StorageEngine, id: string): Promise<Buffer> {
  const reader = await engine.openReader(id);
  expect(Buffer.from(await reader.state())).toEqual(STATE);
  return Buffer.from((await reader.read(0, { maxBytes: 1 << 24 })).bytes);
}

function checkpointOf(disk: MemoryDisk): Checkpoint {
  const found = decodeCheckpoint(disk.files.get('/r/checkpoint') ?? Buffer.alloc(0), '');
  if (found === undefined) throw new Error('there is none');
  return found;
}

/** What a kill -9 leaves where much was going on: open, sealed, deleted, ingested, recovered, and things begun and not finished. */
async function crashed(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const { engine } = await openInMemory(disk);
  await (await written(engine, 'sealed', 3)).seal();
  await (await written(engine, 'fenced', 2)).seal();
  async function* batches() {
    yield bytesOf(4);
  }
  await engine.ingest('ingested', { base: 0, end: 4, epoch: 1, state: STATE, uid: 'one' }, batches());
  await engine.close();
  const second = (await openInMemory(disk)).engine;
  await second.recover('fenced', { epoch: 7 });
  await written(second, 'open', 5, 1000);
  await (await written(second, 'late', 3)).seal();
  await (await written(second, 'deleted', 2)).seal();
  const before = disk.copy();
  await second.delete('deleted');
  await second.delete('ingested');
  const left = disk.copy();
  await second.close();
  // unlinks that no sync has made durable
  for (const [path, bytes] of before.files) if (path.includes('/ingested.')) left.files.set(path, bytes);
  left.files.set('/r/wal/000009.wal.new', Buffer.alloc(100));
  left.files.set('/r/segments/never.log', Buffer.alloc(100));
  left.files.set('/r/segments/never.footer.tmp', Buffer.alloc(100));
  left.files.set('/r/segments/open.head.tmp', Buffer.alloc(100));
  return left;
}

async function expectAllOfIt(disk: MemoryDisk): Promise<void> {
  const { engine, locks } = await openInMemory(disk);
  expect([...disk.files.keys()].filter((path) => /tmp$|new$|never|ingested|deleted/.test(path))).toEqual([]);
  expect(await engine.list({ prefix: '', limit: 100 })).toEqual(['fenced', 'late', 'open', 'sealed']);
  await expect(engine.recover('fenced', { epoch: 6 })).rejects.toMatchObject({ code: 'FENCED' });
  expect(await engine.recover('open', { epoch: 2 })).toEqual({ end: 5 });
  expect(await contentOf(engine, 'open')).toEqual(bytesOf(5, 1000));
  expect(await contentOf(engine, 'sealed')).toEqual(bytesOf(3));
  expect(await contentOf(engine, 'fenced')).toEqual(bytesOf(2));
  expect(await contentOf(engine, 'late')).toEqual(bytesOf(3));
  for (const id of ['deleted', 'ingested', 'never'])
    await expect(engine.openReader(id)).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
  await engine.close();
  expect([disk.openHandles, locks.held]).toEqual([0, 0]);
}

describe('a start', () => {
  test('in a new directory names it, makes its first file and its checkpoint, each durable before the next', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine, logged } = await openInMemory(disk, { clock });
    expect(disk.calls).toEqual([
      'mkdir /r',
      'mkdir /r/wal',
      'mkdir /r/segments',
      'syncDirectory /',
      'create /r/INSTANCE.tmp',
      'write /r/INSTANCE.tmp',
      'sync /r/INSTANCE.tmp',
      'rename /r/INSTANCE',
      'syncDirectory /r',
      'create /r/wal/000000.wal',
      'syncDirectory /r/wal',
      'create /r/checkpoint.tmp',
      'write /r/checkpoint.tmp',
      'sync /r/checkpoint.tmp',
      'rename /r/checkpoint',
      'syncDirectory /r',
    ]);
    expect(logged).toEqual(['info: local-file is open']);
    expect(checkpointOf(disk)).toMatchObject({
      generation: 1,
      nextSequence: 2,
      logFiles: ['000000.wal'],
      suspect: false,
    });
    // nothing to be copied from the log
    expect(clock.pending).toBe(0);
    await engine.close();
    disk.calls.length = 0;
    const again = await openInMemory(disk, { seed: 2 });
    expect(again.engine.incarnation).toBe(engine.incarnation);
    expect(disk.calls.filter((call) => /mkdir|INSTANCE|syncDirectory \/$/.test(call))).toEqual([]);
    await again.engine.close();
  });

  test('finds all that was acknowledged, ends what was begun, and removes what never was', async () => {
    await expectAllOfIt(await crashed());
  });

  test('that fails at any step forgets nothing, and leaves nothing open', async () => {
    const left = await crashed();
    for (let failing = 0; ; failing++) {
      expect(failing).toBeLessThan(100);
      const disk = left.copy();
      const locks = { held: 0 };
      const clock = new VirtualClock();
      let steps = 0;
      disk.fault = () => (steps++ === failing ? coded('EIO') : undefined);
      const started = await openInMemory(disk, { locks, clock }).catch((error: unknown) => error);
      disk.fault = () => undefined;
      const isOpen = steps <= failing;
      if (isOpen) await (started as { engine: StorageEngine }).engine.close();
      else {
        expect(started, `step ${failing}`).toMatchObject({ code: 'IO_ERROR', where: '/r', cause: { code: 'EIO' } });
        expect([disk.openHandles, locks.held, clock.pending], `step ${failing}`).toEqual([0, 0, 0]);
      }
      await expectAllOfIt(disk);
      if (!isOpen) continue;
      expect(failing).toBeGreaterThan(8);
      break;
    }
  });

  test('that can not look at something, whatever it is, is refused, and forgets nothing', async () => {
    const left = await crashed();
    for (let failing = 0; ; failing++) {
      expect(failing).toBeLessThan(100);
      const disk = left.copy();
      const locks = { held: 0 };
      const looks: string[] = [];
      disk.unreadable = (path) =>
        looks.push(path) > failing && looks.length === failing + 1 ? coded('EIO') : undefined;
      const started = await openInMemory(disk, { locks }).catch((error: unknown) => error);
      disk.unreadable = () => undefined;
      if (looks.length <= failing) {
        await (started as { engine: StorageEngine }).engine.close();
        expect(looks).toEqual(expect.arrayContaining(['/r/segments', '/r/wal', '/r/segments/fenced.footer']));
        break;
      }
      expect(started, looks.at(-1)).toMatchObject({ code: 'IO_ERROR', cause: { code: 'EIO' } });
      expect([disk.openHandles, locks.held], looks.at(-1)).toEqual([0, 0]);
      await expectAllOfIt(disk);
    }
  });

  test('that is cut short at any step forgets nothing', async () => {
    const left = await crashed();
    const disk = left.copy();
    const cuts: MemoryDisk[] = [];
    disk.hold = () => {
      cuts.push(disk.copy());
      return undefined;
    };
    const { engine } = await openInMemory(disk);
    disk.hold = () => undefined;
    await engine.close();
    expect(cuts.length).toBeGreaterThan(8);
    for (const cut of cuts) await expectAllOfIt(cut);
  });

  test('on a full disk says so', async () => {
    const disk = new MemoryDisk();
    disk.fault = (call) => (call.startsWith('write') ? coded('ENOSPC') : undefined);
    const locks = { held: 0 };
    await expect(openInMemory(disk, { locks })).rejects.toMatchObject({ code: 'DISK_FULL', where: '/r' });
    expect(locks.held).toBe(0);
  });

  test('counts generations and files on from the log, too: a checkpoint may be an old one that somebody put back', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const old = disk.files.get('/r/checkpoint') as Buffer;
    await written(engine, 'a', 2);
    const left = disk.copy();
    await engine.close();
    const second = await openInMemory(left);
    await written(second.engine, 'b', 2);
    const crashedAgain = left.copy();
    const { generation, nextSequence } = checkpointOf(crashedAgain);
    await second.engine.close();
    crashedAgain.files.set('/r/checkpoint', old);
    const third = await openInMemory(crashedAgain);
    expect(checkpointOf(crashedAgain).generation).toBe(generation + 1);
    expect(checkpointOf(crashedAgain).nextSequence).toBeGreaterThan(nextSequence - 1);
    expect(await third.engine.recover('a', { epoch: 2 })).toEqual({ end: 2 });
    expect(await third.engine.recover('b', { epoch: 2 })).toEqual({ end: 2 });
    await written(third.engine, 'c', 2);
    const last = crashedAgain.copy();
    const { files } = await surveyWal(last.fs, '/r/wal', 0);
    const sequences = files.map(({ sequence }) => sequence).filter((sequence) => sequence > 0);
    expect(sequences.length).toBeGreaterThan(2);
    expect(new Set(sequences).size).toBe(sequences.length);
    await third.engine.close();
    const fourth = await openInMemory(last);
    for (const id of ['a', 'b']) expect(await contentOf(fourth.engine, id)).toEqual(bytesOf(2));
    expect(await fourth.engine.recover('c', { epoch: 2 })).toEqual({ end: 2 });
    await fourth.engine.close();
  });

  test('after many starts without a write numbers each anew', async () => {
    const disk = new MemoryDisk();
    for (let generation = 1; generation < 4; generation++) {
      const { engine } = await openInMemory(disk);
      expect(checkpointOf(disk).generation).toBe(generation);
      await engine.close();
    }
  });

  test('reads groups as large as any that was written, whatever the settings are by now', async () => {
    const disk = new MemoryDisk();
    const large = { ringBytes: 512 * 1024, walFileBytes: 1024 * 1024 };
    const small = { ringBytes: 32 * 1024, walFileBytes: 64 * 1024 };
    const { engine } = await openInMemory(disk, { config: large });
    await written(engine, 'a', 2, 200_000);
    const left = disk.copy();
    await engine.close();
    for (const config of [small, small, large]) {
      const again = await openInMemory(left, { config });
      expect(checkpointOf(left).maxGroupBytes).toBe(large.ringBytes);
      await again.engine.recover('a', { epoch: 2 });
      expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(2, 200_000));
      await again.engine.close();
    }
  });

  test('copies what it has found in the log into segment files, after those who recover have had their turn', async () => {
    const clock = new VirtualClock();
    const left = await crashed();
    const { engine } = await openInMemory(left, { clock });
    const place = checkpointOf(left).place.position;
    await clock.advance(4999);
    await settle();
    expect([left.files.has('/r/segments/open.log'), checkpointOf(left).place.position]).toEqual([false, place]);
    await clock.advance(1);
    await settle();
    await settle();
    expect(left.files.get('/r/segments/open.log')).toEqual(bytesOf(5, 1000));
    expect(checkpointOf(left).place.position).toBeGreaterThan(place);
    await engine.close();
    await expectAllOfIt(left);
  });
});

describe('settings', () => {
  test('of a directory win over the one that core gives', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk, { config: { dir: '/other/place' } });
    await engine.close();
    expect([...disk.files.keys()].every((path) => path.startsWith('/other/place/'))).toBe(true);
    expect(disk.calls).toContain('syncDirectory /other');
  });

  test.each([
    [{ ringBytes: 64 * 1024, walFileBytes: 72 * 1024 - 1 }, 'walFileBytes'],
    [{ ringBytes: 64 * 1024 + 4, walFileBytes: 1 << 20 }, 'multiple'],
  ])('that can not work are refused before anything is looked at: %o', async (config, what) => {
    const disk = new MemoryDisk();
    const refused = openInMemory(disk, { config });
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(what) });
    expect(disk.calls).toEqual([]);
  });

  test('that just work are taken', async () => {
    const config = { ringBytes: 64 * 1024, walFileBytes: 72 * 1024 };
    const { engine } = await openInMemory(new MemoryDisk(), { config });
    await engine.close();
  });
});

describe('half a log', () => {
  const refused = async (disk: MemoryDisk, what: string): Promise<void> => {
    const before = disk.copy();
    disk.calls.length = 0;
    const locks = { held: 0 };
    await expect(openInMemory(disk, { locks })).rejects.toMatchObject({
      code: 'CORRUPT',
      outcome: 'none',
      message: expect.stringContaining(what),
      hint: expect.stringContaining('/r/checkpoint'),
    });
    // a checkpoint that is written now would forget what is missing for good
    expect(disk.calls).toEqual([]);
    expect([...disk.files]).toEqual([...before.files]);
    expect([disk.openHandles, locks.held]).toEqual([0, 0]);
  };
  const full = async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const writer = await written(engine, 'a', 8, 30_000);
    const left = disk.copy();
    await writer.close();
    await engine.close();
    const names = [...left.files.keys()].filter((path) => path.endsWith('.wal')).sort();
    expect(names.length).toBeGreaterThan(3);
    return { left, names };
  };

  test('is refused, and nothing is written, whichever of its files is gone', async () => {
    const { left, names } = await full();
    for (const name of names) {
      const disk = left.copy();
      disk.files.delete(name);
      await refused(disk, name.slice(-10));
    }
  });

  test('is refused where the checkpoint does not name the files, by the gap between those that are there', async () => {
    const { left, names } = await full();
    const { logFiles: _, ...older } = checkpointOf(left);
    left.files.set('/r/checkpoint', encodeCheckpoint(older));
    for (const name of names.slice(1, 3)) {
      const disk = left.copy();
      disk.files.delete(name);
      await refused(disk, 'between sequences');
    }
    const { engine } = await openInMemory(left);
    expect(await engine.recover('a', { epoch: 2 })).toEqual({ end: 8 });
    expect(await contentOf(engine, 'a')).toEqual(bytesOf(8, 30_000));
    await engine.close();
  });

  test('is refused where the file that is read from is gone or shorter than the place in it', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    await written(engine, 'a', 3);
    await engine.close();
    const { logFiles: _, ...older } = checkpointOf(disk);
    const { offset, sequence } = older.place;
    expect(offset).toBeGreaterThan(0);
    const gone = disk.copy();
    gone.files.set('/r/checkpoint', encodeCheckpoint(older));
    const { files } = await surveyWal(disk.fs, '/r/wal', 0);
    const path = files.find((file) => file.sequence === sequence)?.path ?? '';
    gone.files.delete(path);
    await refused(gone, `the file with sequence ${sequence} is gone`);
    const bytes = disk.files.get(path) as Buffer;
    const short = disk.copy();
    short.files.set(path, bytes.subarray(0, offset - 1));
    await refused(short, `has ${offset - 1} bytes, the checkpoint names offset ${offset}`);
    const just = disk.copy();
    just.files.set(path, bytes.subarray(0, offset));
    const again = await openInMemory(just);
    expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 3 });
    await again.engine.close();
  });

  test('is refused where that file is gone or cut among others that are whole', async () => {
    const { left, names } = await full();
    const { logFiles: _, ...older } = checkpointOf(left);
    const [first = '', second = ''] = names;
    for (const [sequence, path] of [
      [1, first],
      [2, second],
    ] as const) {
      const place = { ...older.place, sequence, offset: 5000 };
      left.files.set('/r/checkpoint', encodeCheckpoint({ ...older, place }));
      const gone = left.copy();
      gone.files.delete(path);
      if (sequence === 1) await refused(gone, 'the file with sequence 1 is gone');
      const cut = left.copy();
      cut.files.set(path, (left.files.get(path) as Buffer).subarray(0, 4096));
      await refused(cut, 'has 4096 bytes, the checkpoint names offset 5000');
    }
  });

  test('is refused where the checkpoint is gone or damaged', async () => {
    const { left } = await full();
    for (const checkpoint of [undefined, Buffer.alloc(20)]) {
      const disk = left.copy();
      if (checkpoint === undefined) disk.files.delete('/r/checkpoint');
      else disk.files.set('/r/checkpoint', checkpoint);
      await refused(disk, 'The checkpoint is gone or damaged');
    }
  });
});

describe('damage in the log', () => {
  test('is told of when it is opened', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    await written(engine, 'a', 3);
    const left = disk.copy();
    await engine.close();
    const log = left.files.get('/r/wal/000000.wal') as Buffer;
    const at = log.indexOf('payload of 0;');
    log[at] = 1 ^ (log[at] ?? 0);
    const again = await openInMemory(left);
    expect(again.logged.at(-1)).toBe('error: local-file is open, with damage');
    await expect(again.engine.recover('a', { epoch: 2 })).rejects.toMatchObject({ code: 'CORRUPT' });
    await again.engine.close();
  });

  test('that nobody can name is damage of whatever is open, and not of what was sealed since', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    const [a, b, c] = [await create(engine, 'a'), await create(engine, 'b'), await create(engine, 'c')];
    for (const writer of [b, c]) await writer.append([batch(0)], { base: 0 });
    await a.append([batch(0, 300)], { base: 0 });
    await a.append([batch(1, 300)], { base: 1 });
    await c.append([batch(1)], { base: 1 });
    await c.seal();
    const left = disk.copy();
    await engine.close();
    const log = left.files.get('/r/wal/000000.wal') as Buffer;
    const at = log.indexOf('payload of 0;'.repeat(20));
    log.fill(0xff, at - (at % 4096), at - (at % 4096) + 4096);
    const again = await openInMemory(left);
    for (const id of ['a', 'b'])
      await expect(again.engine.recover(id, { epoch: 2 }), id).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(await contentOf(again.engine, 'c')).toEqual(bytesOf(2));
    await expect(again.engine.openReader('d')).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
    await again.engine.close();
  });

  test.each([
    ['is there and damaged', (disk: MemoryDisk) => disk.files.set('/r/checkpoint', Buffer.alloc(5)), true],
    [
      'is gone, and there are files of segments',
      (disk: MemoryDisk) => disk.files.set('/r/segments/x.log', Buffer.alloc(5)),
      true,
    ],
    [
      'is gone, and there are files of the log',
      (disk: MemoryDisk) => disk.files.set('/r/wal/000003.wal', Buffer.alloc(0)),
      true,
    ],
    ['is gone, and there is nothing else', () => {}, false],
  ])('tells by whatever is left that there was something when the checkpoint %s', async (_, change, suspect) => {
    const disk = new MemoryDisk();
    await (await openInMemory(disk)).engine.close();
    for (const path of disk.files.keys()) if (!path.endsWith('INSTANCE')) disk.files.delete(path);
    change(disk);
    const { engine, logged } = await openInMemory(disk);
    await expect(engine.openReader('b')).rejects.toMatchObject({ code: suspect ? 'SEGMENT_LOST' : 'SEGMENT_UNKNOWN' });
    expect(logged.filter((line) => line.includes('checkpoint is gone')).length).toBe(suspect ? 1 : 0);
    await engine.close();
  });

  test('is what a directory of segments is that is gone', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    await (await written(engine, 'a', 2)).seal();
    await engine.close();
    const whole = await openInMemory(disk);
    await expect(whole.engine.openReader('b')).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
    expect(whole.logged).toEqual(['info: local-file is open']);
    await whole.engine.close();
    for (const path of disk.files.keys()) if (path.startsWith('/r/segments/')) disk.files.delete(path);
    disk.directories.delete('/r/segments');
    const again = await openInMemory(disk);
    for (const id of ['a', 'b'])
      await expect(again.engine.openReader(id)).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
    expect(again.logged[0]).toBe('error: the directory of segments is gone');
    await again.engine.close();
  });

  test('that nobody can name makes every segment that is not found one that may have been lost, at each start from then on', async () => {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    await engine.close();
    disk.files.set('/r/segments/old.log', Buffer.alloc(100));
    disk.files.delete('/r/checkpoint');
    for (let start = 0; start < 2; start++) {
      const again = await openInMemory(disk);
      expect(again.logged.at(-1)).toBe('error: local-file is open, with damage');
      await expect(again.engine.openReader('b')).rejects.toMatchObject({ code: 'SEGMENT_LOST' });
      await again.engine.close();
    }
  });
});

test('what the log says of a segment that was deleted is not done to one that took its name, though its footer is damaged', async () => {
  const disk = new MemoryDisk();
  const { engine } = await openInMemory(disk);
  await (await written(engine, 'a', 2)).seal();
  await engine.delete('a');
  async function* batches() {
    yield bytesOf(4);
  }
  await engine.ingest('a', { base: 0, end: 4, epoch: 1, state: STATE, uid: 'one' }, batches());
  const left = disk.copy();
  await engine.close();
  const whole = await openInMemory(left.copy());
  expect(await contentOf(whole.engine, 'a')).toEqual(bytesOf(4));
  await whole.engine.close();
  const footer = left.files.get('/r/segments/a.footer') as Buffer;
  left.files.set('/r/segments/a.footer', Buffer.from(footer).fill(0, 20, 40));
  const damaged = await openInMemory(left);
  await expect(damaged.engine.openReader('a')).rejects.toMatchObject({ code: 'CORRUPT' });
  await damaged.engine.close();
  // somebody has a copy of it
  left.files.set('/r/segments/a.footer', footer);
  const again = await openInMemory(left);
  expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(4));
  await again.engine.close();
});

describe('what the log says of segments that are not open', () => {
  const NAMES = ['log', 'index', 'head', 'footer'].map((kind) => `/r/segments/a.${kind}`);

  /** An engine on a directory that has a sealed segment in files, and those files. */
  async function sealed() {
    const disk = new MemoryDisk();
    const { engine } = await openInMemory(disk);
    await (await written(engine, 'a', 2)).seal();
    await engine.close();
    const files = new Map([...disk.files].filter(([path]) => NAMES.includes(path)));
    expect(files.size).toBeGreaterThan(1);
    return { disk, engine: (await openInMemory(disk)).engine, files };
  }

  test('an epoch, and then its deletion, is done though its files came back', async () => {
    const { disk, engine, files } = await sealed();
    await engine.recover('a', { epoch: 5 });
    await engine.delete('a');
    for (const cameBack of [false, true]) {
      const left = disk.copy();
      if (cameBack) for (const [path, bytes] of files) left.files.set(path, Buffer.from(bytes));
      const again = await openInMemory(left);
      await expect(again.engine.openReader('a')).rejects.toMatchObject({ code: 'SEGMENT_UNKNOWN' });
      expect(NAMES.filter((path) => left.files.has(path))).toEqual([]);
      await again.engine.close();
      const later = await openInMemory(left);
      expect(await later.engine.list({ prefix: '', limit: 9 })).toEqual([]);
      await later.engine.close();
    }
    await engine.close();
  });

  test('is not said of one that was ingested under the name', async () => {
    const { disk, engine } = await sealed();
    await engine.recover('a', { epoch: 5 });
    await engine.delete('a');
    async function* batches() {
      yield bytesOf(4);
    }
    await engine.ingest('a', { base: 0, end: 4, epoch: 1, state: STATE, uid: 'one' }, batches());
    for (const left of [disk.copy(), disk]) {
      const again = await openInMemory(left);
      expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(4));
      // its own epoch, not that of the one before it
      expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 4 });
      await again.engine.close();
      if (left !== disk) await engine.close();
    }
  });

  test.each([false, true])(
    'is not said of one that was made again under the name, nor is it told from old files: sealed %s',
    async (isSealed) => {
      const { disk, engine, files } = await sealed();
      await engine.recover('a', { epoch: 5 });
      await engine.delete('a');
      const writer = await written(engine, 'a', 3, 200);
      if (isSealed) await writer.seal();
      const left = disk.copy();
      await engine.close();
      const footer = '/r/segments/a.footer';
      left.files.set(footer, Buffer.from(files.get(footer) ?? []));
      const again = await openInMemory(left);
      expect(left.files.has(footer)).toBe(false);
      expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 3 });
      expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(3, 200));
      await again.engine.close();
      const later = await openInMemory(left);
      expect(await contentOf(later.engine, 'a')).toEqual(bytesOf(3, 200));
      await later.engine.close();
    },
  );

  test('is not done to the files of one that was made again, when the log is read from in front of both', async () => {
    const { disk, engine: first } = await sealed();
    await first.close();
    const { engine } = await openInMemory(disk);
    const { place } = checkpointOf(disk);
    await engine.delete('a');
    await written(engine, 'a', 3, 200);
    await engine.close();
    // as one for the names of the log's files says it when a round has synced this segment, and has failed for another
    const last = checkpointOf(disk);
    expect(last).toMatchObject({ place: { sequence: place.sequence + 1 }, segments: [{ id: 'a', end: 3 }] });
    disk.files.set('/r/checkpoint', encodeCheckpoint({ ...last, place }));
    const again = await openInMemory(disk);
    expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 3 });
    expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(3, 200));
    await again.engine.close();
  });

  test('several epochs: the highest counts, and one that the footer has already is no news', async () => {
    const { disk, engine } = await sealed();
    await engine.recover('a', { epoch: 3 });
    await engine.recover('a', { epoch: 5 });
    const left = disk.copy();
    await engine.close();
    for (const one of [left, disk]) {
      const again = await openInMemory(one);
      await expect(again.engine.recover('a', { epoch: 4 })).rejects.toMatchObject({ code: 'FENCED' });
      expect(await again.engine.recover('a', { epoch: 5 })).toEqual({ end: 2 });
      expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(2));
      await again.engine.close();
    }
  });

  test('files that a crash has left under other names go, and nothing that a segment needs', async () => {
    const { disk, engine } = await sealed();
    await written(engine, 'open', 2);
    await engine.close();
    const temporary = ['a.footer.tmp', 'a.index.tmp', 'open.footer.tmp', 'part.index.tmp'];
    for (const name of [...temporary, 'part.log', 'what else', 'x.tmp'])
      disk.files.set(`/r/segments/${name}`, Buffer.alloc(9));
    const again = await openInMemory(disk);
    expect([...disk.files.keys()].filter((path) => /tmp|else|part/.test(path)).sort()).toEqual(
      ['part.log', 'what else', 'x.tmp'].map((name) => `/r/segments/${name}`),
    );
    expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(2));
    expect(await again.engine.recover('open', { epoch: 2 })).toEqual({ end: 2 });
    expect(await contentOf(again.engine, 'open')).toEqual(bytesOf(2));
    await again.engine.close();
  });
});

describe('how the directory is doing', () => {
  const passes = async (clock: VirtualClock, ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 500) {
      await clock.advance(500);
      await settle();
    }
  };

  test('full at the start, and ok when there is room', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    disk.free = 10_000_000;
    const { engine, health } = await openInMemory(disk, { clock, config: { reserveBytes: 10_000_000 } });
    expect(health).toMatchObject([{ status: 'full', detail: expect.stringContaining('/r') }]);
    await expect(create(engine, 'a')).rejects.toMatchObject({ code: 'DISK_FULL', outcome: 'none' });
    disk.free = 20_000_000;
    await clock.advance(500);
    expect(health.at(-1)).toEqual({ status: 'ok', detail: '' });
    await create(engine, 'a');
    await engine.close();
    expect(clock.pending).toBe(0);
  });

  test('full when a segment file or the log finds no room, and nothing is lost by it', async () => {
    for (const path of [/^write .*a\.log$/, /^write .*00000[1-9]\.wal/]) {
      const disk = new MemoryDisk();
      const clock = new VirtualClock();
      const { engine, health } = await openInMemory(disk, { clock, config: { writeBackBytes: 4096 } });
      disk.fault = (call) => (path.test(call) ? coded('ENOSPC') : undefined);
      const writer = await create(engine, 'a');
      const appends: Promise<unknown>[] = [];
      for (let base = 0; base < 4; base++) {
        appends.push(writer.append([batch(base, 30_000)], { base }).catch((error: unknown) => error));
        await settle();
      }
      await settle();
      expect(health.at(0), path.source).toMatchObject({ status: 'full', detail: expect.stringContaining('ENOSPC') });
      disk.fault = () => undefined;
      for (let i = 0; i < 5; i++) {
        await clock.advance(500);
        await settle();
      }
      expect(health.at(-1), path.source).toEqual({ status: 'ok', detail: '' });
      const results = await Promise.all(appends);
      const taken = results.filter((result) => typeof (result as { next?: number }).next === 'number').length;
      expect(await writer.seal()).toEqual({ end: taken });
      expect(await contentOf(engine, 'a')).toEqual(bytesOf(taken, 30_000));
      expect(taken).toBeGreaterThan(0);
      await engine.close();
    }
  });

  test('failed while the log can not be shortened, which is taken back when it can, but for a disk that is full', async () => {
    for (const full of [false, true]) {
      const disk = new MemoryDisk();
      const clock = new VirtualClock();
      const config = { checkpointBytes: 4096, writeBackBytes: 1 << 20 };
      const { engine, health } = await openInMemory(disk, { clock, config });
      disk.fault = (call) =>
        call.includes('/r/segments/') ? Object.assign(coded('EIO'), { message: 'bad' }) : undefined;
      await written(engine, 'a', 1, 5000);
      for (let i = 0; i < 13; i++) {
        await clock.advance(1000);
        await settle();
      }
      expect(health).toMatchObject([{ status: 'failed', detail: expect.stringContaining('bad') }]);
      expect(health[0]?.detail).toContain('/r/segments/a.log');
      disk.fault = () => undefined;
      if (full) {
        disk.free = 0;
        await create(engine, 'b');
        await clock.advance(1000);
        await settle();
      }
      for (let i = 0; i < 3; i++) {
        await clock.advance(1000);
        await settle();
      }
      expect(health.at(-1)).toMatchObject({ status: full ? 'full' : 'ok' });
      await engine.close();
    }
  });

  test('failed again when there is room on a full disk, and the log can still not be shortened', async () => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine, health } = await openInMemory(disk, { clock, config: { checkpointBytes: 4096 } });
    disk.fault = (call) => (call.includes('/r/segments/') ? coded('EIO') : undefined);
    await written(engine, 'a', 1, 5000);
    await passes(clock, 13_000);
    disk.free = 0;
    await create(engine, 'b').catch(() => {});
    await settle();
    disk.free = 2 ** 40;
    await passes(clock, 2000);
    expect(health.map(({ status }) => status)).toEqual(['failed', 'full', 'ok', 'failed']);
    disk.fault = () => undefined;
    await passes(clock, 2000);
    expect(health.slice(4)).toEqual([{ status: 'ok', detail: '' }]);
    await engine.close();
  });

  test('in words of the log when a write to it fails, after which it goes on in another file', async () => {
    const disk = new MemoryDisk();
    const { engine, health, logged } = await openInMemory(disk);
    const writer = await written(engine, 'a', 2);
    disk.fault = (call) =>
      call.startsWith('write /r/wal/0') ? Object.assign(coded('EIO'), { message: 'bad sector' }) : undefined;
    await expect(writer.append([batch(2)], { base: 2 })).rejects.toMatchObject({
      code: 'IO_ERROR',
      where: '/r/wal',
      message: expect.stringContaining('EIO'),
      cause: { message: 'bad sector' },
    });
    disk.fault = () => undefined;
    expect(logged).toContain('error: writing the write-ahead log failed');
    expect(health).toEqual([]);
    expect(await engine.recover('a', { epoch: 2 })).toEqual({ end: 2 });
    await written(engine, 'b', 2);
    const left = disk.copy();
    await engine.close();
    const again = await openInMemory(left);
    expect(await again.engine.recover('b', { epoch: 2 })).toEqual({ end: 2 });
    expect(await contentOf(again.engine, 'a')).toEqual(bytesOf(2));
    await again.engine.close();
  });

  test('failed when no file of the log can be written any more', async () => {
    const disk = new MemoryDisk();
    const { engine, health } = await openInMemory(disk);
    await written(engine, 'a', 2);
    disk.fault = (call) => (call.startsWith('write /r/wal/0') ? coded('EIO') : undefined);
    for (let i = 0; i < 60 && health.length === 0; i++) {
      await create(engine, `x${i}`).catch(() => {});
      await settle();
    }
    expect(health).toMatchObject([{ status: 'failed', detail: expect.stringContaining('start the node again') }]);
    disk.fault = () => undefined;
    await expect(create(engine, 'late')).rejects.toMatchObject({ code: 'IO_ERROR' });
    const left = disk.copy();
    await engine.close();
    const again = await openInMemory(left);
    expect(await again.engine.recover('a', { epoch: 2 })).toEqual({ end: 2 });
    await again.engine.close();
  });

  test.each([
    ['the log is shortened', []],
    ['a full disk has room again', ['ENOSPC']],
  ])('failed for good once the log is dead, though %s', async (_, faults) => {
    const disk = new MemoryDisk();
    const clock = new VirtualClock();
    const { engine, health } = await openInMemory(disk, { clock, config: { checkpointBytes: 4096 } });
    disk.fault = (call) => (call.includes('/r/segments/') ? coded('EIO') : undefined);
    await written(engine, 'a', 1, 5000);
    await passes(clock, 13_000);
    disk.fault = (call) => (/^write .r.wal.0|segments/.test(call) ? coded('EIO') : undefined);
    for (let i = 0; i < 60 && health.length === 1; i++) {
      await create(engine, `x${i}`).catch(() => {});
      await settle();
    }
    for (const code of faults) {
      disk.fault = (call) => (call.includes('/r/segments/') ? coded(code) : undefined);
      await passes(clock, 3000);
    }
    disk.fault = () => undefined;
    await passes(clock, 3000);
    expect(disk.files.get('/r/segments/a.log')).toEqual(bytesOf(1, 5000));
    expect(health).toMatchObject([
      { status: 'failed', detail: expect.stringContaining('shortened') },
      { status: 'failed', detail: expect.stringContaining('start the node again') },
    ]);
    await engine.close();
  });
});
