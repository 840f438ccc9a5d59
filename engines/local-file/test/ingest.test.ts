import { forEachBatch, headerDigest, type IngestOptions } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { FileCache } from '../src/file-cache.ts';
import { ingestSegment } from '../src/ingest.ts';
import { sealedLog } from '../src/sealed-segments.ts';
import { SegmentPaths } from '../src/segment/segment-files.ts';
import { encodeIndexHeader, SparseIndex } from '../src/segment/sparse-index.ts';
import { bodyOf, readFooter } from '../src/segment/stored.ts';
import { batch } from './batches.ts';
import { coded, MemoryDisk } from './memory-disk.ts';

const KIB = 1024;
const INTERVAL = 300;
const paths = new SegmentPaths('/r');
const of = (kind: 'log' | 'index' | 'footer') => paths.of('a', kind);
const temporary = (kind: 'log' | 'index' | 'footer') => paths.temporary('a', kind);
const OPTIONS: IngestOptions = { base: 10, end: 30, epoch: 4, state: Buffer.from('a fold'), uid: 'one attempt' };

/** Hands on each chunk in memory of its own, which holds something else as soon as the next is asked for. */
async function* fleeting(chunks: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    const memory = Buffer.from(chunk);
    yield memory;
    memory.fill(0xee);
  }
}

function ingest(
  disk: MemoryDisk,
  batches: AsyncIterable<Uint8Array> | readonly Buffer[],
  options: Partial<IngestOptions> = {},
  reserve: (bytes: number) => boolean = () => true,
) {
  const stream = Array.isArray(batches) ? fleeting(batches) : (batches as AsyncIterable<Uint8Array>);
  const how = { interval: INTERVAL, nonce: 77, reserve };
  return ingestSegment(disk.fs, paths, 'a', { ...OPTIONS, ...options }, stream, how);
}

const many = (from: number, to: number, payloadBytes?: number): Buffer[] =>
  Array.from({ length: to - from }, (_, i) => batch(from + i, payloadBytes));

describe('a whole segment', () => {
  test('is in its files as it came, and is found by footer and index', async () => {
    const disk = new MemoryDisk();
    // holes in front, between and behind; and the largest time is not the last
    const batches = [...many(12, 16), batch(16, 900, 3, 99_999), ...many(20, 28)];
    const chunks = [Buffer.concat(batches.slice(0, 3)), Buffer.concat(batches.slice(3, 4)), ...batches.slice(4)];
    const all = Buffer.concat(batches);
    let crc = 0;
    forEachBatch(all, (_, at) => {
      crc = headerDigest(crc, all, at);
    });
    const result = await ingest(disk, chunks);
    expect(result).toEqual({ bytes: all.length, crc });
    expect([...disk.files.keys()].sort()).toEqual([of('footer'), of('index'), of('log')]);
    expect(disk.files.get(of('log'))).toEqual(all);
    const footer = await readFooter(disk.fs, paths, 'a');
    if (footer === undefined) throw new Error('it has one');
    expect(footer).toMatchObject({
      ...{ number: 0, nonce: 77, sealed: true, ingested: true, base: 10, end: 30, epoch: 4, fencedEpoch: 4 },
      ...{ bytes: all.length, maxTimestamp: 99_999, digest: crc },
    });
    expect(await bodyOf(disk.fs, paths, 'a')).toEqual({ uid: 'one attempt', state: Buffer.from('a fold') });
    const index = new SparseIndex(INTERVAL);
    let position = 0;
    for (const one of batches) {
      index.add(Number(one.readBigInt64BE(0)), position, Number(one.readBigInt64BE(35)));
      position += one.length;
    }
    expect(index.count).toBeGreaterThan(3);
    expect([footer.indexCount, footer.lastIndexed]).toEqual([index.count, index.lastPosition]);
    expect(disk.files.get(of('index'))).toEqual(Buffer.concat([encodeIndexHeader(10), index.encode(0)]));
    for (let offset = 10; offset < 30; offset++) {
      const log = sealedLog(paths, new FileCache(disk.fs, 4), 'a', footer, INTERVAL);
      const first = batches.findIndex((one) => Number(one.readBigInt64BE(0)) + one.readInt32BE(23) >= offset);
      const { bytes } = await log.read(offset, 1);
      expect(Buffer.from(bytes), `at ${offset}`).toEqual(batches[first] ?? Buffer.alloc(0));
      // by the index that was written, and none that was made again
      if (log.index.unloaded === 0) expect(log.indexSaved).toBe(footer.indexCount);
    }
    const log = sealedLog(paths, new FileCache(disk.fs, 4), 'a', footer, INTERVAL);
    expect(await log.offsetForTimestamp(2000)).toBe(16);
    expect(await log.offsetForTimestamp(1014)).toBe(14);
  });

  test('is synced under other names before it has its own, the footer last', async () => {
    const disk = new MemoryDisk();
    await ingest(disk, many(10, 13));
    expect(disk.calls).toEqual([
      `create ${temporary('log')}`,
      `write ${temporary('log')}`,
      `sync ${temporary('log')}`,
      `create ${temporary('index')}`,
      `write ${temporary('index')}`,
      `sync ${temporary('index')}`,
      `create ${temporary('footer')}`,
      `write ${temporary('footer')}`,
      `sync ${temporary('footer')}`,
      `syncDirectory ${paths.dir}`,
      `rename ${of('log')}`,
      `rename ${of('index')}`,
      `rename ${of('footer')}`,
      `syncDirectory ${paths.dir}`,
    ]);
    expect(disk.openHandles).toBe(0);
  });

  test('may be empty', async () => {
    const disk = new MemoryDisk();
    expect(await ingest(disk, [])).toEqual({ bytes: 0, crc: 0 });
    expect(disk.files.get(of('log'))).toEqual(Buffer.alloc(0));
    expect(await readFooter(disk.fs, paths, 'a')).toMatchObject({ base: 10, end: 30, bytes: 0, indexCount: 0 });
  });

  test('is written in large pieces, and room is asked for before each', async () => {
    const disk = new MemoryDisk();
    const reserved: number[] = [];
    const writes: number[] = [];
    const reserve = (bytes: number): boolean => {
      // all that was reserved before is written by now
      expect(disk.files.get(temporary('log'))?.length).toBe(reserved.reduce((sum, one) => sum + one, 0));
      reserved.push(bytes);
      return true;
    };
    disk.hold = (call) => {
      if (call === `write ${temporary('log')}`) writes.push(disk.files.get(temporary('log'))?.length ?? -1);
      return undefined;
    };
    const payload = 64 * KIB - 61;
    // one by itself, four to a piece, some that go with a large one, and what is left
    const batches = [
      batch(10, 256 * KIB - 61),
      ...many(11, 18, payload),
      batch(18, 256 * KIB - 61),
      batch(19, 100),
      batch(20, 300 * KIB),
      batch(21, 256 * KIB - 62),
      batch(22, 5),
    ];
    const { bytes } = await ingest(disk, batches, {}, reserve);
    expect(disk.files.get(of('log'))?.equals(Buffer.concat(batches))).toBe(true);
    expect(reserved.reduce((sum, one) => sum + one, 0)).toBe(bytes);
    expect(reserved).toEqual([
      256 * KIB,
      256 * KIB,
      3 * 64 * KIB + 256 * KIB,
      161 + 300 * KIB + 61,
      256 * KIB - 1 + 66,
    ]);
    expect(writes).toHaveLength(5);
  });
});

describe('what can not be written leaves nothing behind', () => {
  const steps = [
    ...(['log', 'index', 'footer'] as const).flatMap((kind) => [
      `create ${temporary(kind)}`,
      `write ${temporary(kind)}`,
      `sync ${temporary(kind)}`,
      `rename ${of(kind)}`,
    ]),
    `syncDirectory ${paths.dir}`,
  ];
  test.each(steps.flatMap((step) => [[step, 'EIO', 'IO_ERROR'] as const, [step, 'ENOSPC', 'DISK_FULL'] as const]))(
    'when it fails at: %s, with %s',
    async (step, code, expected) => {
      const disk = new MemoryDisk();
      disk.fault = (call) => (call === step ? coded(code) : undefined);
      await expect(ingest(disk, many(10, 13))).rejects.toMatchObject({ code: expected });
      expect([...disk.files.keys()]).toEqual([]);
      expect(disk.openHandles).toBe(0);
    },
  );

  test('when its last sync fails: the footer goes first, and no log stays that no footer tells of', async () => {
    const disk = new MemoryDisk();
    let syncs = 0;
    disk.fault = (call) => (call.startsWith('syncDirectory') && ++syncs === 2 ? coded('EIO') : undefined);
    await expect(ingest(disk, many(10, 13))).rejects.toMatchObject({ code: 'IO_ERROR' });
    expect([...disk.files.keys()]).toEqual([]);
    expect(disk.calls.find((call) => call.startsWith('unlink'))).toBe(`unlink ${of('footer')}`);
  });

  test('after a crash in the middle of that the next start knows by the footer’s other name that the log is nobody’s', async () => {
    const disk = new MemoryDisk();
    disk.fault = (call) => (call === `rename ${of('footer')}` ? coded('EIO') : undefined);
    await expect(ingest(disk, many(10, 13))).rejects.toMatchObject({ code: 'IO_ERROR' });
    const unlinked = disk.calls.filter((call) => call.startsWith('unlink'));
    expect(unlinked.indexOf(`unlink ${temporary('footer')}`)).toBeGreaterThan(unlinked.indexOf(`unlink ${of('log')}`));
    expect(unlinked.indexOf(`unlink ${temporary('footer')}`)).toBeGreaterThan(
      unlinked.indexOf(`unlink ${of('index')}`),
    );
  });

  test('though one of its files can not be removed, the others are, and the first error is told', async () => {
    const disk = new MemoryDisk();
    disk.fault = (call) => {
      if (call.startsWith('rename')) return coded('ENOSPC');
      return call === `unlink ${temporary('index')}` || call === `unlink ${of('footer')}` ? coded('EIO') : undefined;
    };
    await expect(ingest(disk, many(10, 13))).rejects.toMatchObject({ code: 'DISK_FULL', where: 'segment a' });
    expect([...disk.files.keys()]).toEqual([temporary('index')]);
  });

  test('when there is no room', async () => {
    const disk = new MemoryDisk();
    let left = 1;
    const reserve = (): boolean => left-- > 0;
    await expect(ingest(disk, many(10, 16, 100 * KIB), {}, reserve)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect([...disk.files.keys()]).toEqual([]);
    expect(disk.calls.filter((call) => call.startsWith('write'))).toHaveLength(1);
  });

  test('when whoever sends it fails', async () => {
    const disk = new MemoryDisk();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield batch(10);
      throw new Error('the other end is gone');
    }
    await expect(ingest(disk, broken())).rejects.toMatchObject({ code: 'IO_ERROR' });
    expect([...disk.files.keys()]).toEqual([]);
    expect(disk.openHandles).toBe(0);
  });

  test.each([
    ['in front of the segment', [batch(9)]],
    ['over the one before it', [batch(10, 100, 3), batch(12)]],
    ['over the one before it, in one chunk', [Buffer.concat([batch(10, 100, 3), batch(12)])]],
    ['at the one before it', [batch(10), batch(10)]],
    ['behind the end', [batch(28, 100, 3)]],
  ])('when a batch lies %s', async (_, batches) => {
    const disk = new MemoryDisk();
    await expect(ingest(disk, batches)).rejects.toMatchObject({ code: 'BATCH_INVALID' });
    expect([...disk.files.keys()]).toEqual([]);
  });

  test('but one that ends with the segment is of it', async () => {
    const disk = new MemoryDisk();
    await ingest(disk, [batch(10, 100, 3), batch(13), batch(27, 100, 3)]);
    expect(await readFooter(disk.fs, paths, 'a')).toMatchObject({ end: 30 });
  });
});
