import { describe, expect, test } from 'vitest';
import { GROUP_HEADER_BYTES, readGroupHeader, SECTOR_BYTES } from '../src/wal/frames.ts';
import { GroupWriter, NoRoom } from '../src/wal/group-writer.ts';
import { coded, ScriptedDisk } from './scripted-disk.ts';

const FILE_BYTES = 16 * 1024;
const MIB = 1024 * 1024;

function begin(options: { ringBytes?: number; fileBytes?: number; position?: number } = {}) {
  const disk = new ScriptedDisk();
  const ring = new SharedArrayBuffer(options.ringBytes ?? 8192);
  const bytes = new Uint8Array(ring);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 7 + 1) & 0xff;
  const writer = new GroupWriter(disk, {
    ring,
    control: new SharedArrayBuffer(64),
    fs: { module: '', options: {} },
    dir: 'wal',
    fileBytes: options.fileBytes ?? FILE_BYTES,
    generation: 3,
    position: options.position ?? 1000,
  });
  return { disk, writer, ring: Buffer.from(ring) };
}

const thrown = (run: () => void): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('a group', () => {
  test('lies in the file behind its header, padded to a sector, and names the end of what was before it', () => {
    const { disk, writer, ring } = begin();
    writer.grant({ path: 'a', sequence: 5, zeroedBytes: 0 });
    writer.makeRoom(100);
    writer.write(100);
    expect(writer).toMatchObject({ offset: SECTOR_BYTES, sequence: 5, end: 1100 });
    writer.makeRoom(SECTOR_BYTES - GROUP_HEADER_BYTES + 1);
    writer.write(SECTOR_BYTES - GROUP_HEADER_BYTES + 1);
    expect(writer).toMatchObject({ offset: 3 * SECTOR_BYTES, end: 1100 + SECTOR_BYTES - GROUP_HEADER_BYTES + 1 });
    const file = disk.files.get('a') ?? Buffer.alloc(0);
    const common = { generation: 3, fileSequence: 5 };
    expect(readGroupHeader(file, 0)).toEqual({ ...common, start: 1000, previousEnd: 1000, bytes: 100 });
    expect(readGroupHeader(file, SECTOR_BYTES)).toMatchObject({ ...common, start: 1100, previousEnd: 1100 });
    expect(file.subarray(GROUP_HEADER_BYTES, GROUP_HEADER_BYTES + 100)).toEqual(ring.subarray(0, 100));
    expect(file.subarray(GROUP_HEADER_BYTES + 100, SECTOR_BYTES).every((byte) => byte === 0)).toBe(true);
    expect(file.length).toBe(FILE_BYTES);
  });

  test('that fills its sectors exactly has no padding, and may fill its file exactly', () => {
    const { disk, writer } = begin();
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    for (let sector = 0; sector < 4; sector++) {
      writer.makeRoom(SECTOR_BYTES - GROUP_HEADER_BYTES);
      writer.write(SECTOR_BYTES - GROUP_HEADER_BYTES);
    }
    expect(writer.offset).toBe(FILE_BYTES);
    expect(disk.files.get('a')?.length).toBe(FILE_BYTES);
    expect(thrown(() => writer.makeRoom(1))).toBeInstanceOf(NoRoom);
  });

  test('is gathered from the end and the beginning of the ring', () => {
    const { disk, writer, ring } = begin({ ringBytes: 1000 });
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    for (const bytes of [700, 600, 400]) {
      writer.makeRoom(bytes);
      writer.write(bytes);
    }
    const file = disk.files.get('a') ?? Buffer.alloc(0);
    const body = (sector: number, bytes: number) =>
      file.subarray(sector * SECTOR_BYTES + GROUP_HEADER_BYTES).subarray(0, bytes);
    expect(body(1, 600)).toEqual(Buffer.concat([ring.subarray(700), ring.subarray(0, 300)]));
    expect(body(2, 400)).toEqual(ring.subarray(300, 700));
  });

  test('leaves nothing of what lay in its place', () => {
    const { disk, writer, ring } = begin({ ringBytes: 1000 });
    disk.files.set('a', Buffer.alloc(FILE_BYTES, 0xff));
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: FILE_BYTES });
    for (const bytes of [700, 600]) {
      writer.makeRoom(bytes);
      writer.write(bytes);
    }
    const file = disk.files.get('a') ?? Buffer.alloc(0);
    expect(file.subarray(SECTOR_BYTES + GROUP_HEADER_BYTES + 600, 2 * SECTOR_BYTES).every((byte) => byte === 0)).toBe(
      true,
    );
    expect(file.subarray(GROUP_HEADER_BYTES + 700, SECTOR_BYTES).every((byte) => byte === 0)).toBe(true);
    expect(file.subarray(2 * SECTOR_BYTES).every((byte) => byte === 0xff)).toBe(true);
    expect(file.subarray(GROUP_HEADER_BYTES).subarray(0, 700)).toEqual(ring.subarray(0, 700));
  });

  test('has no place before there is a file', () => {
    const { writer } = begin();
    expect(() => writer.write(10)).toThrow('makeRoom');
    const error = thrown(() => writer.makeRoom(10));
    expect(error).toBeInstanceOf(NoRoom);
    expect(error).toMatchObject({ detail: undefined });
  });
});

describe('a file of the log', () => {
  test('that is new gets its name on the disk, one that was used does not need it again', () => {
    const { disk, writer } = begin();
    disk.files.set('b', Buffer.alloc(FILE_BYTES));
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    writer.grant({ path: 'b', sequence: 2, zeroedBytes: FILE_BYTES });
    writer.makeRoom(10);
    expect(disk.calls).toEqual(['open wx+ds a', 'syncDirectory wal', 'write a']);
    writer.write(10);
    disk.calls.length = 0;
    writer.makeRoom(FILE_BYTES - GROUP_HEADER_BYTES);
    expect(disk.calls).toEqual(['open r+ds b', 'close a']);
    expect(writer).toMatchObject({ sequence: 2, offset: 0 });
    expect(writer.takeLeft()).toEqual({ sequence: 1, zeroedBytes: FILE_BYTES });
    expect(writer.takeLeft()).toBeUndefined();
  });

  test('that a crash has left empty is taken, and its name made sure of again', () => {
    const { disk, writer } = begin();
    disk.files.set('a', Buffer.alloc(0));
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    writer.makeRoom(10);
    expect(disk.calls.slice(0, 3)).toEqual(['open wx+ds a', 'open r+ds a', 'syncDirectory wal']);
  });

  test('that can not be opened fails, and is opened when it is asked for again', () => {
    const { disk, writer } = begin();
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    disk.fault = (call) => (call.startsWith('open') ? coded('EACCES') : undefined);
    expect(thrown(() => writer.makeRoom(10))).toMatchObject({ code: 'EACCES' });
    disk.fault = () => undefined;
    writer.makeRoom(10);
    writer.write(10);
    expect(writer.end).toBe(1010);
  });

  test('is zeroed ahead of small groups, once, and not ahead of large ones', () => {
    const { disk, writer } = begin({ ringBytes: 256 * 1024, fileBytes: 3 * MIB });
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    const large = 64 * 1024 - GROUP_HEADER_BYTES;
    writer.makeRoom(large);
    expect(disk.calls.filter((call) => call === 'write a')).toEqual([]);
    writer.write(large);
    writer.makeRoom(10);
    expect(disk.files.get('a')?.length).toBe(64 * 1024 + MIB);
    writer.write(10);
    disk.calls.length = 0;
    writer.makeRoom(10);
    expect(disk.calls).toEqual([]);
  });

  test('is zeroed up to its end, and no further', () => {
    const { disk, writer } = begin({ ringBytes: 2 * MIB, fileBytes: 1.5 * MIB });
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    writer.makeRoom(10);
    writer.write(10);
    writer.makeRoom(MIB);
    writer.write(MIB);
    writer.makeRoom(10);
    expect(disk.files.get('a')?.length).toBe(1.5 * MIB);
  });

  test('that has failed is closed, whatever closing says, and never written again, nor are those that were granted', () => {
    const { disk, writer } = begin();
    writer.abandonFile();
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    writer.grant({ path: 'b', sequence: 2, zeroedBytes: 0 });
    writer.makeRoom(10);
    writer.write(10);
    disk.fault = (call) => (call === 'close' ? coded('EIO') : undefined);
    writer.abandonFile();
    expect(disk.calls.at(-1)).toBe('close a');
    expect(thrown(() => writer.makeRoom(10))).toBeInstanceOf(NoRoom);
    writer.close();
    expect(disk.calls.filter((call) => call.startsWith('close'))).toEqual(['close a']);
  });

  test('is closed once at the end', () => {
    const { disk, writer } = begin();
    writer.close();
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    writer.makeRoom(10);
    writer.close();
    writer.close();
    expect(disk.calls.filter((call) => call.startsWith('close'))).toEqual(['close a']);
  });
});

describe('a disk without room', () => {
  test.each(['ENOSPC', 'EDQUOT'])(
    '(%s) is told with its reason, and the same group lands later in the same place',
    (code) => {
      const { disk, writer } = begin();
      writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
      for (const full of ['open wx+ds', 'syncDirectory', 'write']) {
        disk.fault = (call) => (call === full ? coded(code) : undefined);
        const error = thrown(() => writer.makeRoom(10));
        expect(error).toBeInstanceOf(NoRoom);
        expect(error).toMatchObject({ detail: `it said ${code}` });
      }
      disk.fault = () => undefined;
      writer.makeRoom(10);
      disk.fault = (call) => (call === 'write' ? coded(code) : undefined);
      expect(thrown(() => writer.write(10))).toBeInstanceOf(NoRoom);
      expect(writer).toMatchObject({ offset: 0, end: 1000 });
      disk.fault = () => undefined;
      writer.write(10);
      expect(writer).toMatchObject({ offset: SECTOR_BYTES, end: 1010 });
      expect(readGroupHeader(disk.files.get('a') ?? Buffer.alloc(0), 0)).toMatchObject({
        start: 1000,
        previousEnd: 1000,
      });
    },
  );

  test('is not what any other failure is', () => {
    const { disk, writer } = begin();
    writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
    writer.makeRoom(10);
    disk.fault = (call) => (call === 'write' ? coded('EIO') : undefined);
    const error = thrown(() => writer.write(10));
    expect(error).not.toBeInstanceOf(NoRoom);
    expect(error).toMatchObject({ code: 'EIO' });
  });
});

test('after a failure the log goes on at another position, and names the end of what is durable', () => {
  const { disk, writer, ring } = begin();
  writer.grant({ path: 'a', sequence: 1, zeroedBytes: 0 });
  writer.makeRoom(100);
  writer.write(100);
  writer.abandonFile();
  writer.resume(5000, 300);
  writer.grant({ path: 'b', sequence: 2, zeroedBytes: 0 });
  writer.makeRoom(50);
  writer.write(50);
  const file = disk.files.get('b') ?? Buffer.alloc(0);
  expect(readGroupHeader(file, 0)).toMatchObject({ fileSequence: 2, start: 5000, previousEnd: 1100, bytes: 50 });
  expect(file.subarray(GROUP_HEADER_BYTES, GROUP_HEADER_BYTES + 50)).toEqual(ring.subarray(300, 350));
  expect(writer.end).toBe(5050);
});
