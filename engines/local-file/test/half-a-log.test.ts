import { type Dirent, existsSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeCheckpoint } from '../src/checkpoint.ts';
import { batch, create, open, readAll, snapshot, temporaryDirectory } from './harness.ts';

/** What a kill -9 leaves of one segment with `count` records, none of them in a checkpoint. */
async function crashed(count: number, payloadBytes: number, checkpointBytes = 64 << 20): Promise<string> {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir, { config: { checkpointBytes } });
  const writer = await create(engine, 'a');
  for (let base = 0; base < count; base++) await writer.append([batch(base, payloadBytes)], { base });
  const copy = await snapshot(dir);
  await engine.close();
  return copy;
}

async function expectAll(dir: string, count: number, payloadBytes: number): Promise<void> {
  const { engine } = await open(dir);
  expect(await engine.recover('a', { epoch: 2 })).toEqual({ end: count });
  const expected = Buffer.concat(Array.from({ length: count }, (_, base) => batch(base, payloadBytes)));
  expect((await readAll(await engine.openReader('a'), 0, 100_000)).equals(expected)).toBe(true);
  await engine.close();
}

/** Each file with what it holds, but for the lock. */
function contents(dir: string): Record<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry: Dirent) => entry.isFile());
  const named = files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => !/lock/i.test(path));
  return Object.fromEntries(named.map((path) => [path, readFileSync(path).toString('base64')]));
}

async function expectRefused(dir: string, what: RegExp): Promise<void> {
  const before = contents(dir);
  for (let round = 0; round < 2; round++) {
    const refusal = open(dir).then(({ engine }) => engine.close());
    await expect(refusal).rejects.toMatchObject({
      ...{ code: 'CORRUPT', outcome: 'none', message: expect.stringMatching(what) },
      ...{ where: expect.stringContaining(dir), hint: expect.stringContaining(join(dir, 'checkpoint')) },
    });
  }
  expect(contents(dir)).toEqual(before);
}

test('a log file that was moved away is asked for, nothing is written meanwhile, and all is there when it is back', async () => {
  const dir = await crashed(20, 300);
  const [path, aside] = [join(dir, 'wal', '000000.wal'), join(dir, 'aside')];
  renameSync(path, aside);
  await expectRefused(dir, /000000\.wal/);
  renameSync(aside, path);
  await expectAll(dir, 20, 300);
  // the same with the whole directory of the log
  const other = await crashed(20, 300);
  renameSync(join(other, 'wal'), join(other, 'aside'));
  await expectRefused(other, /000000\.wal/);
  expect(existsSync(join(other, 'wal'))).toBe(false);
  renameSync(join(other, 'aside'), join(other, 'wal'));
  await expectAll(other, 20, 300);
});

test('a log file from the middle is asked for: the one behind it tells that it was there', async () => {
  const dir = await crashed(300, 4000);
  const names = readdirSync(join(dir, 'wal')).sort();
  expect(names.length).toBeGreaterThanOrEqual(3);
  for (const name of names.slice(0, 2)) {
    renameSync(join(dir, 'wal', name), join(dir, 'aside'));
    await expectRefused(dir, /wal|sequences 1 and 3/);
    renameSync(join(dir, 'aside'), join(dir, 'wal', name));
  }
  await expectAll(dir, 300, 4000);
});

test('the newest log file is asked for, too: a checkpoint names it as soon as it is there', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir, { config: { checkpointBytes: 64 << 20, walFiles: 40 } });
  const writer = await create(engine, 'a');
  let end = 0;
  const logs = (of: string): string[] =>
    readdirSync(join(of, 'wal'))
      .filter((name) => name.endsWith('.wal'))
      .sort();
  const areNamed = (of: string): boolean => {
    const { logFiles = [] } = decodeCheckpoint(readFileSync(join(of, 'checkpoint')), '') ?? {};
    return logs(of).every((name) => logFiles.includes(name));
  };
  // until the worker is in its third file at least, and all are named
  let copy: string | undefined;
  // one that is made ahead while it is copied is not named yet
  while (copy === undefined || !areNamed(copy)) {
    while (end < 400 || !areNamed(dir)) {
      await writer.append([batch(end, 4000)], { base: end });
      end++;
    }
    copy = await snapshot(dir);
    await writer.append([batch(end, 4000)], { base: end });
    end++;
  }
  await engine.close();
  const names = logs(copy);
  expect(names.length).toBeGreaterThanOrEqual(4);
  for (const name of names) {
    renameSync(join(copy, 'wal', name), join(copy, 'aside'));
    await expectRefused(copy, /wal|sequences/);
    renameSync(join(copy, 'aside'), join(copy, 'wal', name));
  }
  await expectAll(copy, end - 1, 4000);
});

test('a log file that is shorter than the checkpoint says is asked for', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writer = await create(engine, 'a');
  for (let base = 0; base < 40; base++) await writer.append([batch(base, 3000)], { base });
  await engine.close();
  const { place } = decodeCheckpoint(readFileSync(join(dir, 'checkpoint')), '') ?? {};
  expect(place?.offset).toBeGreaterThan(8192);
  const path = join(dir, 'wal', '000000.wal');
  const whole = readFileSync(path);
  truncateSync(path, 8192);
  await expectRefused(dir, /offset/);
  writeFileSync(path, whole);
  await expectAll(dir, 40, 3000);
});

test('without a checkpoint a log that holds data is not forgotten: gone, cut or flipped, it is asked for', async () => {
  const dir = await crashed(20, 300);
  const path = join(dir, 'checkpoint');
  const whole = readFileSync(path);
  for (const how of ['gone', 'cut', 'flipped'] as const) {
    if (how === 'gone') renameSync(path, join(dir, 'aside'));
    else if (how === 'cut') truncateSync(path, 20);
    else writeFileSync(path, Buffer.from(whole).fill(0xff, 30, 31));
    await expectRefused(dir, /checkpoint is gone or damaged/);
    writeFileSync(path, whole);
  }
  await expectAll(dir, 20, 300);
});

test('starts that write nothing, little or much, closed well or not, are never taken for a half log', async () => {
  let dir = await temporaryDirectory();
  let end = 0;
  for (const [round, count] of [0, 0, 1, 0, 200, 0, 3].entries())
    for (const crash of [true, false]) {
      const { engine } = await open(dir);
      if (count > 0) {
        const id = `a-${round}-${crash}`;
        const writer = await create(engine, id);
        for (let base = 0; base < count; base++) await writer.append([batch(base, 4000)], { base });
        end += count;
      }
      const copy = crash ? await snapshot(dir) : undefined;
      await engine.close();
      if (copy !== undefined) dir = copy;
    }
  const { engine } = await open(dir);
  let found = 0;
  for (const id of await engine.list({ prefix: '', limit: 100 })) found += (await engine.recover(id, { epoch: 2 })).end;
  expect(found).toBe(end);
  await engine.close();
});

test('a log file that ends where the checkpoint says that reading begins is whole, and a byte less is not', async () => {
  const dir = await temporaryDirectory();
  const { engine } = await open(dir);
  const writer = await create(engine, 'a');
  await writer.append([batch(0)], { base: 0 });
  await engine.close();
  const path = join(dir, 'checkpoint');
  const place = decodeCheckpoint(readFileSync(path), path)?.place;
  expect(place?.sequence).toBe(1);
  const bytes = place?.offset ?? 0;
  expect(bytes).toBeGreaterThan(0);
  const copy = await snapshot(dir);
  truncateSync(join(copy, 'wal', '000000.wal'), bytes - 1);
  await expectRefused(copy, new RegExp(`has ${bytes - 1} bytes`));
  truncateSync(join(dir, 'wal', '000000.wal'), bytes);
  await expectAll(dir, 1, 100);
});
