import { crc32c } from '@node-rs/crc32';
import { isStorageError } from '@robustmq/core';
import { describe, expect, test } from 'vitest';
import { FOOTER_BYTES, HEADER_BYTES, type Placement } from '../src/image/format.ts';
import { writeImage } from '../src/image/image-writer.ts';
import { TAIL_BYTES } from '../src/image/index-cache.ts';
import { batch } from './batches.ts';
import { codeOf, ImageWorld, image, readAll, UID } from './image-world.ts';

const BATCHES = [0, 1, 2, 3].map((i) => batch({ base: i * 2, count: 2, payloadBytes: 40 }));
const WHOLE = Buffer.concat(BATCHES);
const SMALL = image(BATCHES, { base: 0, end: 9, blockBytes: 250 });

/** Large enough that its index is read from its tail, and longer than that. */
function large(): { readonly batches: readonly Buffer[]; readonly bytes: Uint8Array } {
  const batches = Array.from({ length: 1300 }, (_, i) => batch({ base: i, payloadBytes: 30 }));
  return { batches, ...image(batches, { base: 0, end: 1300, blockBytes: 1 }) };
}

async function codeOfReading(world: ImageWorld, place: Placement | undefined, wanted: Buffer): Promise<string> {
  try {
    const reader = await world.open(place, { expect: { uid: UID, base: 0 } });
    const read = await readAll(reader, 0, 1 << 20);
    expect(read.equals(wanted), 'wrong data').toBe(true);
    expect(Buffer.from(await reader.state()).toString(), 'a wrong state').toBe('a fold');
    expect(await reader.offsetForTimestamp(1004), 'a wrong place').toBe(4);
    return 'nothing';
  } catch (error) {
    if (!isStorageError(error)) throw error;
    if (error.code === 'CORRUPT')
      expect(error).toMatchObject({ where: expect.stringContaining('k'), hint: expect.any(String) });
    return error.code;
  }
}

describe('an image that is not what was stored', () => {
  test.each([
    ['in one piece', 1 << 20],
    ['in small pieces', 64],
  ])('is CORRUPT whichever bit of it is flipped, %s', async (_, pieceBytes) => {
    for (let at = 0; at < SMALL.bytes.length; at++)
      for (let bit = 0; bit < 8; bit += at % 3 === 0 ? 1 : 3) {
        const bytes = Buffer.from(SMALL.bytes);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        const world = new ImageWorld({ pieceBytes });
        const [place] = world.place('k', { ...SMALL, bytes });
        expect(await codeOfReading(world, place, WHOLE), `byte ${at}, bit ${bit}`).toBe('CORRUPT');
      }
  });

  test('is CORRUPT when it is cut or longer, and when it is of other bytes altogether', async () => {
    const { batches, bytes } = large();
    const wanted = Buffer.concat(batches);
    expect(bytes.length).toBeGreaterThan(TAIL_BYTES * 2);
    for (const [image_, all] of [
      [SMALL.bytes, WHOLE],
      [bytes, wanted],
    ] as const)
      for (const other of [
        image_.subarray(0, image_.length - 1),
        image_.subarray(0, image_.length / 2),
        image_.subarray(1),
        Buffer.concat([image_, Buffer.alloc(1)]),
        Buffer.alloc(image_.length),
      ]) {
        const world = new ImageWorld();
        const [place] = world.place('k', { ...SMALL, bytes: image_ });
        world.store.objects.set('k', other);
        // one byte more behind a small image does not change what it is
        const harmless = image_ === SMALL.bytes && other.length > image_.length;
        expect(await codeOfReading(world, place, all)).toBe(harmless ? 'nothing' : 'CORRUPT');
      }
  });

  test('is CORRUPT when another lies in its place, by any of what it says of itself', async () => {
    const other = image(BATCHES, { base: 0, end: 10, blockBytes: 250 });
    expect(other.bytes.length).toBe(SMALL.bytes.length);
    const world = new ImageWorld();
    const [place] = world.place('k', other);
    for (const expect_ of [{ end: 9 }, { epoch: 2 }, { base: 1 }, { uid: UID.replace('0', '1') }, { digest: 1 }])
      expect(await codeOf(world.open(place, { expect: expect_ }))).toBe('CORRUPT');
    const { end, epoch, digest } = (await world.open(place)).footer;
    expect(await codeOf(world.open(place, { expect: { uid: UID, base: 0, end, epoch, digest } }))).toBe('nothing');
  });

  test('is CORRUPT when its front is of another segment', async () => {
    const other = image(BATCHES, { base: 0, end: 9, blockBytes: 250 });
    const bytes = Buffer.from(other.bytes);
    bytes[8] = 0xff; // of its uid
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, 60)), 60);
    const world = new ImageWorld();
    const [place] = world.place('k', { ...other, bytes });
    expect(await codeOfReading(world, place, WHOLE)).toBe('CORRUPT');
  });

  test.each([
    ['footer', (bytes: Buffer) => bytes.length - FOOTER_BYTES, 120, 112],
    ['header', () => 0, 4, 60],
  ])('of a later version is FORMAT_TOO_NEW, by its %s', async (_, start, versionAt, crcAt) => {
    const bytes = Buffer.from(SMALL.bytes);
    const at = start(bytes);
    bytes.writeUInt32LE(2, at + versionAt);
    const crc =
      at === 0 ? crc32c(bytes.subarray(0, 60)) : crc32c(bytes.subarray(at + 116), crc32c(bytes.subarray(at, at + 112)));
    bytes.writeUInt32LE(crc, at + crcAt);
    const world = new ImageWorld();
    const [place] = world.place('k', { ...SMALL, bytes });
    expect(await codeOfReading(world, place, WHOLE)).toBe('FORMAT_TOO_NEW');
  });

  test('is fetched once more before it is called damaged, and again when it has been put back', async () => {
    const world = new ImageWorld();
    const { batches, bytes } = large();
    const [place] = world.place('k', { ...SMALL, bytes });
    const reader = await world.open(place);
    const damaged = Buffer.from(bytes);
    damaged[HEADER_BYTES + 70] = 0xee;
    world.store.objects.set('k', damaged);
    const before = world.store.asked.length;
    expect(await codeOf(reader.read(0, { maxBytes: 1 }))).toBe('CORRUPT');
    expect(world.store.asked.length - before).toBe(2);
    // on the way only
    world.store.gate = async () => {
      world.store.gate = async () => {
        world.store.objects.set('k', bytes);
      };
    };
    expect(Buffer.from((await reader.read(0, { maxBytes: 1 })).bytes).equals(batches[0] ?? Buffer.alloc(0))).toBe(true);
    expect(world.store.asked.length - before).toBe(4);
  });

  test('is SEGMENT_LOST when there is no such object', async () => {
    const world = new ImageWorld();
    const [place] = world.place('k', SMALL);
    world.store.objects.delete('k');
    expect(await codeOf(world.open(place))).toBe('SEGMENT_LOST');
    const { bytes } = large();
    const [far] = world.place('far', { ...SMALL, bytes });
    const reader = await world.open(far);
    world.store.objects.delete('far');
    expect(await codeOf(reader.read(0, { maxBytes: 1 }))).toBe('SEGMENT_LOST');
  });

  test.each([
    { at: -1, bytes: 300, objectBytes: 300 },
    { at: 0, bytes: 301, objectBytes: 300 },
    { at: 0.5, bytes: 200, objectBytes: 300 },
  ])('is refused at a place that no object has: %o', async (place) => {
    expect(await codeOf(new ImageWorld().open({ key: 'k', ...place }))).toBe('INVALID_ARGUMENT');
  });

  test('is CORRUPT at a place too small for any', async () => {
    expect(await codeOf(new ImageWorld().open({ key: 'k', at: 0, bytes: 100, objectBytes: 300 }))).toBe('CORRUPT');
  });
});

describe('writing', () => {
  const write = async (options: object, chunks: readonly Uint8Array[]): Promise<void> => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield* chunks;
    }
    const image_ = writeImage({ uid: UID, base: 5, end: 8, epoch: 1, state: Buffer.alloc(0), ...options }, source());
    for await (const _ of image_.chunks);
  };

  test('refuses batches that do not belong in the segment', async () => {
    expect(await codeOf(write({}, [batch({ base: 5 }), batch({ base: 7 })]))).toBe('nothing');
    for (const bases of [[4], [8], [6, 6], [7, 5]])
      expect(
        await codeOf(
          write(
            {},
            bases.map((base) => batch({ base })),
          ),
        ),
        String(bases),
      ).toBe('BATCH_INVALID');
    expect(await codeOf(write({}, [batch({ base: 7, count: 2 })]))).toBe('BATCH_INVALID');
    expect(await codeOf(write({}, [batch({ base: 5 }).subarray(0, 100)]))).toBe('BATCH_INVALID');
  });

  test('refuses a uid that is none', async () => {
    expect(await codeOf(write({ uid: 'abc' }, []).catch((error) => Promise.reject(error)))).toBe('INVALID_ARGUMENT');
  });
});
