/** What a start finds in the log stays there until it has been copied into segment files: readers must not notice. */
import { type Clock, type FileHandle, type FileSystem, type StorageEngine, systemClock } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import { expect, test } from 'vitest';
import type { LocalFileSettings } from '../src/index.ts';
import { batch, create, faulty, open, readAll, snapshot, temporaryDirectory } from './harness.ts';

const MiB = 1024 * 1024;
const ROOMY: Partial<LocalFileSettings> = { checkpointBytes: 512 * MiB, walFiles: 64 };
const IDS = ['a', 'b', 'c'] as const;

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

/** A directory as a kill -9 leaves it: three segments that came in turns, and what is in each. */
async function crashed(seed: number, bytes: number): Promise<{ dir: string; expected: Map<string, Buffer> }> {
  const dir = await temporaryDirectory();
  // nothing of it is written into segment files
  const { engine } = await open(dir, { config: { ...ROOMY, tailBytes: 64 * MiB, writeBackBytes: 64 * MiB } });
  const random = new SeededRandom(seed);
  const below = (most: number): number => Math.floor(random.next() * most);
  const writers = await Promise.all(IDS.map((id) => create(engine, id)));
  const batches = IDS.map((): Buffer[] => []);
  let appends: Promise<unknown>[] = [];
  for (let written = 0; written < bytes; ) {
    const at = below(3);
    const base = batches[at]?.length ?? 0;
    const one = batch(base, 20 + below(below(8) === 0 ? 60_000 : 2000));
    written += one.length;
    await writers[at]?.ready(one.length);
    appends.push(writers[at]?.append([one], { base }) ?? Promise.resolve());
    batches[at]?.push(one);
    if (appends.length < 20) continue;
    await Promise.all(appends);
    appends = [];
  }
  await Promise.all(appends);
  const copy = await snapshot(dir);
  await engine.close();
  return { dir: copy, expected: new Map(IDS.map((id, at) => [id, Buffer.concat(batches[at] ?? [])])) };
}

/** A clock whose long timers wait for a word. */
function patientClock(): { readonly clock: Clock; fire(): void } {
  const waiting = new Set<() => void>();
  const timer: Clock['timer'] = (delayMs, run) => {
    if (delayMs < 1000) return systemClock.timer(delayMs, run);
    waiting.add(run);
    return { cancel: () => void waiting.delete(run) };
  };
  const clock: Clock = { monotonic: () => systemClock.monotonic(), wall: () => systemClock.wall(), timer };
  const fire = (): void => {
    for (const run of [...waiting]) {
      waiting.delete(run);
      run();
    }
  };
  return { clock, fire };
}

/** Counts the open handles of the log's files, and holds a read of one of them when told to. */
function watched(fs: FileSystem): { readonly fs: FileSystem; readonly open: Set<FileHandle>; hold(): () => void } {
  const opened = new Set<FileHandle>();
  let gate: Promise<void> | undefined;
  const watch = (file: FileHandle): FileHandle => {
    const handle: FileHandle = {
      read: async (into, intoOffset, length, position) => {
        const wait = gate;
        gate = undefined;
        await wait;
        return await file.read(into, intoOffset, length, position);
      },
      write: (bytes, position) => file.write(bytes, position),
      datasync: () => file.datasync(),
      truncate: (length) => file.truncate(length),
      size: () => file.size(),
      close: () => {
        opened.delete(handle);
        return file.close();
      },
    };
    opened.add(handle);
    return handle;
  };
  return {
    fs: {
      ...fs,
      open: async (path, flags) => {
        const file = await fs.open(path, flags);
        return flags === 'r' && path.endsWith('.wal') ? watch(file) : file;
      },
    },
    open: opened,
    hold: () => {
      let letGo = (): void => {};
      gate = new Promise((resolve) => {
        letGo = resolve;
      });
      return letGo;
    },
  };
}

async function expectAll(engine: StorageEngine, expected: Map<string, Buffer>, maxBytes: number): Promise<void> {
  for (const [id, bytes] of expected) {
    const reader = await engine.openReader(id);
    expect((await readAll(reader, 0, maxBytes)).equals(bytes), id).toBe(true);
    const { end } = reader.offsets();
    for (const offset of [0, 1, end >> 1, end - 1]) expect(await reader.offsetForTimestamp(1000 + offset)).toBe(offset);
    expect(await reader.offsetForTimestamp(1000 + end)).toBe(undefined);
  }
}

async function recoverAll(engine: StorageEngine, epoch: number): Promise<void> {
  for (const id of IDS) await engine.recover(id, { epoch });
}

test('readers see the same before, while and after it is copied, and when the log has been written over', async () => {
  const { dir, expected } = await crashed(3, 6 * MiB);
  const { fs: faultyFs, plan } = faulty();
  const { fs, open: handles } = watched(faultyFs);
  const { clock, fire } = patientClock();
  const { engine } = await open(dir, { fs, clock, config: ROOMY });
  expect(handles.size).toBeGreaterThan(5);
  await recoverAll(engine, 2);
  await expectAll(engine, expected, 1000);
  await expectAll(engine, expected, 300_000);
  expect(plan.writtenBytes(/\.log$/)).toBe(0);
  const stalled = plan.stall('write', /\.log$/, { after: 1 });
  fire();
  await until(() => stalled() > 0);
  expect(plan.writtenBytes(/\.log$/)).toBeGreaterThan(0);
  await expectAll(engine, expected, 20_000);
  plan.release();
  for (let round = 0; handles.size > 0; round++) await expectAll(engine, expected, 5000 + round);
  await expectAll(engine, expected, 20_000);
  const total = [...expected.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  expect(plan.writtenBytes(/\.log$/)).toBe(total);
  await engine.close();
  const again = await open(dir);
  await expectAll(again.engine, expected, 100_000);
  await again.engine.close();
});

test('a read that is overtaken by the copying, the checkpoint and new data in the same file gives what it was asked for', async () => {
  const { dir, expected } = await crashed(5, MiB);
  const { fs, open: handles, hold } = watched(faulty().fs);
  const { clock, fire } = patientClock();
  // few files: what becomes free is written again soon
  const { engine } = await open(dir, { fs, clock, config: { walFiles: 8, checkpointBytes: MiB } });
  await recoverAll(engine, 2);
  const reader = await engine.openReader('a');
  const letGo = hold();
  const read = reader.read(0, { maxBytes: 1000 });
  fire();
  // all but the one that is being read
  await until(() => handles.size === 1);
  const writer = await create(engine, 'new');
  for (let base = 0; base < 400; base++) {
    await writer.ready(20_000);
    await writer.append([batch(base, 20_000)], { base });
  }
  letGo();
  const { bytes } = await read;
  expect(bytes.length).toBeGreaterThan(0);
  expect(expected.get('a')?.subarray(0, bytes.length).equals(bytes)).toBe(true);
  await until(() => handles.size === 0);
  await engine.close();
});

test('a crash while it is copied, and another one then, change nothing', async () => {
  const { dir, expected } = await crashed(7, 5 * MiB);
  for (const after of [0, 1, 3, 5]) {
    let copy = await snapshot(dir);
    for (let round = 0; round < 2; round++) {
      const { fs, plan } = faulty();
      const { clock, fire } = patientClock();
      const { engine } = await open(copy, { fs, clock, config: ROOMY });
      if (round === 1) await recoverAll(engine, 2);
      const stalled = plan.stall('write', /\.log$/, { after });
      fire();
      await until(() => stalled() > 0);
      copy = await snapshot(copy);
      plan.release();
      await engine.close();
    }
    const { engine } = await open(copy);
    await recoverAll(engine, 3);
    await expectAll(engine, expected, 50_000);
    await engine.close();
  }
}, 30_000);

test('a start holds a fraction of the log in memory, and a handle a file; deleting and closing let go of all', async () => {
  const config = { ...ROOMY, walFileBytes: 8 * MiB, ringBytes: 4 * MiB };
  const dir = await temporaryDirectory();
  const { engine: first } = await open(dir, { config });
  const writer = await create(first, 'a');
  const size = 64 * MiB;
  for (let base = 0; base < size / (256 * 1024); base++) {
    await writer.ready(300_000);
    await writer.append([batch(base, 256 * 1024)], { base });
  }
  const other = await create(first, 'b');
  await other.append([batch(0)], { base: 0 });
  const copy = await snapshot(dir);
  await first.close();
  const { fs: faultyFs, plan } = faulty();
  const { fs, open: handles } = watched(faultyFs);
  const before = process.memoryUsage().arrayBuffers;
  const { engine } = await open(copy, { fs, clock: patientClock().clock, config });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size / 4);
  expect(plan.readBytes(/\.wal$/)).toBeGreaterThan(size);
  const files = handles.size;
  expect(files).toBeGreaterThanOrEqual(8);
  expect(files).toBeLessThanOrEqual(10);
  await engine.delete('a');
  // the last one has what there is of the other segment
  await until(() => handles.size === 1);
  // nor does it matter that the copying never comes to an end
  plan.fail('write', /\.log$/, { code: 'EIO', times: Number.POSITIVE_INFINITY });
  await engine.close();
  expect(handles.size).toBe(0);
}, 30_000);

test('a start that is refused leaves no file open', async () => {
  const { dir } = await crashed(9, 3 * MiB);
  const { fs: faultyFs, plan } = faulty();
  const { fs, open: handles } = watched(faultyFs);
  plan.fail('write', /checkpoint/, { code: 'EIO' });
  await expect(open(dir, { fs, config: ROOMY })).rejects.toMatchObject({ name: 'StorageError' });
  expect(handles.size).toBe(0);
});
