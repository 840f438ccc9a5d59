import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { temporaryDirectory } from './harness.ts';
import { replayed, type TestEntry, TestLog } from './wal-log.ts';

const entry = (number: number, offset: number, payloadBytes = 40): TestEntry => ({ number, offset, payloadBytes });

function garble(path: string, at: number): void {
  const fd = openSync(path, 'r+');
  const byte = (readFileSync(path)[at] ?? 0) ^ 0xff;
  writeSync(fd, Buffer.from([byte]), 0, 1, at);
  closeSync(fd);
}

test('every log reads back as it was written, over files that were used before', async () => {
  const group = fc.array(fc.record({ number: fc.nat(5), offset: fc.nat(1e6), payloadBytes: fc.nat(3000) }), {
    minLength: 1,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(group, { minLength: 1, maxLength: 20 }), fc.nat(20), async (groups, cut) => {
      const dir = await temporaryDirectory();
      const fileBytes = 32 * 1024;
      const log = new TestLog(dir, { generation: 1, position: 0, fileBytes });
      // three files in turns: most of what lies in them is of an earlier turn
      for (let turn = 1; turn <= 60; turn++) log.use(turn % 3, turn);
      const written: { readonly end: number; readonly entries: TestEntry[] }[] = [];
      for (const one of groups) {
        log.group(one);
        written.push({ end: log.position, entries: one });
      }
      log.close();
      const newest = (await replayed(dir)).entries;
      const all = groups.flat();
      // what is still there is the end of what was written, without a gap and without anything older
      expect(newest).toEqual(all.slice(all.length - newest.length));
      expect(newest.length).toBeGreaterThanOrEqual(Math.min(all.length, groups.at(-1)?.length ?? 0));
      // a later generation that begins in one of the files sees nothing of the old one
      const next = new TestLog(dir, { generation: 2, position: log.position, fileBytes });
      next.use(cut % 3, 100);
      next.group([entry(9, 9)]);
      next.close();
      const after = await replayed(dir, { position: log.position, sequence: 100, offset: 0 });
      expect(after).toMatchObject({ entries: [entry(9, 9)], damaged: [], lost: [] });
    }),
    { numRuns: 40 },
  );
});

test('a last group that is cut or garbled at any byte ends the log at its last whole entry, and is never damage', async () => {
  const dir = await temporaryDirectory();
  const path = join(dir, '000000.wal');
  const log = new TestLog(dir, { generation: 1, position: 0, fileBytes: 16 * 1024 });
  log.use(0, 1);
  log.group([entry(1, 0), entry(2, 0)]);
  const before = log.position;
  const last = log.group([entry(1, 1), entry(2, 1), entry(1, 2)]);
  log.close();
  const whole = readFileSync(path);
  const kept = [entry(1, 0), entry(2, 0)];
  const open = [entry(1, 1), entry(2, 1), entry(1, 2)];
  for (let at = 0; at < last.bytes; at++)
    for (const how of ['cut', 'garbled', 'zeros'] as const) {
      writeFileSync(path, whole);
      if (how === 'cut') truncateSync(path, last.offset + at);
      else if (how === 'garbled') garble(path, last.offset + at);
      else
        writeFileSync(
          path,
          Buffer.concat([whole.subarray(0, last.offset + at), Buffer.alloc(whole.length - last.offset - at)]),
        );
      const { entries, damaged, lost, end } = await replayed(dir);
      const name = `${how} at ${at}`;
      expect([damaged, lost], name).toEqual([[], []]);
      const counted = entries.length - kept.length;
      expect(entries, name).toEqual([...kept, ...open.slice(0, counted)]);
      expect(end, name).toBe(before + counted * ((last.bytes - 64) / 3));
      const size = (last.bytes - 64) / 3;
      const inPadding = (at - 64) % size >= 48 + 101;
      if (how === 'garbled' && at >= 64) expect(counted, name).toBe(inPadding ? 3 : Math.floor((at - 64) / size));
    }
});

test('damage below a proven end is always told: whose it is when the entry still says so, else that nobody knows', async () => {
  const dir = await temporaryDirectory();
  const path = join(dir, '000000.wal');
  const log = new TestLog(dir, { generation: 1, position: 0, fileBytes: 16 * 1024 });
  log.use(0, 1);
  log.group([entry(1, 0), entry(2, 0)]);
  const hit = log.group([entry(1, 1), entry(2, 1), entry(3, 1)]);
  log.group([entry(1, 2)]);
  log.close();
  const whole = readFileSync(path);
  const size = (hit.bytes - 64) / 3;
  for (let at = 0; at < hit.bytes; at++) {
    writeFileSync(path, whole);
    garble(path, hit.offset + at);
    const { entries, damaged, lost } = await replayed(dir);
    const name = `byte ${at}`;
    // the last group is whole, and read whatever happened in front of it
    expect(entries.at(-1), name).toEqual(entry(1, 2));
    const inEntry = at < 64 ? -1 : (at - 64) % size;
    if (inEntry < 0 || inEntry >= 48 + 101) {
      // the header of a group says nothing that its entries and the next one do not; padding says nothing at all
      expect([entries.length, damaged, lost], name).toEqual([6, [], []]);
    } else if (inEntry >= 48) {
      expect(damaged, name).toEqual([entry(Math.floor((at - 64) / size) + 1, 1)]);
      expect([entries.length, lost], name).toEqual([5, []]);
    } else expect([damaged.length, lost.length], name).toEqual([0, 1]);
  }
});

test('a group that is missing as a whole is damage when the next file proves it', async () => {
  const dir = await temporaryDirectory();
  const log = new TestLog(dir, { generation: 1, position: 0, fileBytes: 8192 });
  for (let file = 0; file < 3; file++) log.use(file, file + 1);
  log.group([entry(1, 0)]);
  const second = log.group([entry(1, 1)]);
  log.group([entry(1, 2)]);
  log.close();
  expect(second.offset).toBe(4096);
  truncateSync(join(dir, '000000.wal'), 4096);
  const { entries, lost } = await replayed(dir);
  expect(entries).toEqual([entry(1, 0), entry(1, 2)]);
  expect(lost).toHaveLength(1);
});

test('what a new file declares void is not applied, whole as it may be', async () => {
  const dir = await temporaryDirectory();
  const first = new TestLog(dir, { generation: 1, position: 0 });
  first.use(0, 1);
  first.group([entry(1, 0)]);
  const proven = first.position;
  first.group([entry(1, 1)]);
  first.close();
  // as after a restart that found the second group torn
  const second = new TestLog(dir, { generation: 2, position: proven });
  second.use(1, 2);
  second.group([entry(1, 1, 77)]);
  second.close();
  expect(await replayed(dir)).toMatchObject({ entries: [entry(1, 0), entry(1, 1, 77)], damaged: [], lost: [] });
});
