import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { encodeImage, writeImage } from '../src/image/image-writer.ts';
import { batch, type SmallBatch } from './batches.ts';
import { ImageWorld, image, readAll, UID } from './image-world.ts';

/** Batches with holes between them, as (hole, records, payload, timestamp). */
const shapes = fc.array(
  fc.record({
    hole: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(5)),
    count: fc.integer({ min: 1, max: 4 }),
    payloadBytes: fc.oneof({ weight: 6, arbitrary: fc.nat(200) }, fc.integer({ min: 1000, max: 5000 })),
    timestamp: fc.integer({ min: -50, max: 50 }),
  }),
  { maxLength: 40 },
);
type Shape = Required<Omit<SmallBatch, 'base'>> & { readonly hole: number };

interface Laid {
  readonly batches: readonly {
    readonly base: number;
    readonly end: number;
    readonly ts: number;
    readonly bytes: Buffer;
  }[];
  readonly end: number;
}

function lay(base: number, shapesOf: readonly Shape[], tailHole: number): Laid {
  let next = base;
  const batches = shapesOf.map(({ hole, ...shape }) => {
    const at = next + hole;
    next = at + shape.count;
    return { base: at, end: next, ts: shape.timestamp, bytes: batch({ base: at, ...shape }) };
  });
  return { batches, end: next + tailHole };
}

describe('an image', () => {
  test('gives back what was put in it, read from anywhere, in any steps, whatever lies around it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          shapes,
          base: fc.constantFrom(0, 7, 2 ** 40),
          tailHole: fc.nat(3),
          blockBytes: fc.constantFrom(1, 300, 1000, 256 * 1024),
          pieceBytes: fc.constantFrom(128, 700, 4096, 1 << 20),
          cacheBytes: fc.constantFrom(0, 2000, 1 << 20),
          ahead: fc.constantFrom(0, 8),
          kept: fc.boolean(),
          reads: fc.array(fc.tuple(fc.nat(200), fc.constantFrom(1, 161, 500, 3000, 1 << 20)), { maxLength: 20 }),
        }),
        async ({ shapes: shaped, base, tailHole, blockBytes, pieceBytes, cacheBytes, ahead, kept, reads }) => {
          const { batches, end } = lay(base, shaped, tailHole);
          const world = new ImageWorld({ pieceBytes, cacheBytes });
          const bytes = batches.map((one) => one.bytes);
          const other = image([batch({ base: 5 })], { base: 5, end: 6 });
          const places = world.place('k', other, image(bytes, { base, end, blockBytes }), other);
          if (kept) world.pieces.put('k', [world.store.objects.get('k') ?? Buffer.alloc(0)]);
          const reader = await world.open(places[1], { readAheadPieces: ahead, expect: { uid: UID, base, end } });
          expect(reader.offsets()).toEqual({ base, committed: end, end, sealed: true });
          expect(Buffer.from(await reader.state()).toString()).toBe('a fold');
          for (const [skip, maxBytes] of reads) {
            const from = Math.min(end, base + skip);
            const first = batches.findIndex((one) => one.end > from);
            const { bytes: got, next } = await reader.read(from, { maxBytes });
            let last = first;
            for (let sum = 0; first !== -1 && last < batches.length; last++) {
              sum += batches[last]?.bytes.length ?? 0;
              if (last > first && sum > maxBytes) break;
            }
            const wanted = first === -1 ? [] : batches.slice(first, last);
            expect(Buffer.from(got).equals(Buffer.concat(wanted.map((one) => one.bytes)))).toBe(true);
            expect(next).toBe(wanted.at(-1)?.end ?? end);
          }
          for (const step of [1, 700, 1 << 20])
            expect((await readAll(reader, base, step)).equals(Buffer.concat(bytes))).toBe(true);
          for (let ts = -51; ts <= 51; ts += 6)
            expect(await reader.offsetForTimestamp(ts)).toBe(batches.find((one) => one.ts >= ts)?.base);
          await reader.close();
          if (kept && cacheBytes > 1 << 19) expect(world.store.asked).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('is the same as a stream, however the batches come in chunks, also from a buffer that is used again', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.infiniteStream(fc.integer({ min: 1, max: 4 })), async (shaped, sizes) => {
        const { batches, end } = lay(3, shaped, 0);
        const options = { uid: UID, base: 3, end, epoch: 1, state: Buffer.from('s'), blockBytes: 400 };
        const whole = encodeImage(
          options,
          batches.map((one) => one.bytes),
        );
        const shared = Buffer.alloc(1 << 20);
        async function* source(): AsyncGenerator<Uint8Array> {
          for (let at = 0; at < batches.length; ) {
            const { value: size = 1 } = sizes.next();
            const chunk = Buffer.concat(batches.slice(at, at + size).map((one) => one.bytes));
            at += size;
            chunk.copy(shared);
            yield shared.subarray(0, chunk.length);
            shared.fill(0);
          }
        }
        const { chunks, summary } = writeImage(options, source());
        expect(() => summary()).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
        const parts: Buffer[] = [];
        for await (const chunk of chunks) parts.push(Buffer.from(chunk));
        expect(Buffer.concat(parts).equals(Buffer.concat(whole.chunks))).toBe(true);
        expect(summary()).toEqual(whole.summary);
        expect(summary().imageBytes).toBe(Buffer.concat(parts).length);
      }),
      { numRuns: 50 },
    );
  });

  test('passes the chunks of its source on as they are', async () => {
    const chunks = [batch({ base: 0 }), Buffer.concat([batch({ base: 1 }), batch({ base: 2 })])];
    const options = { uid: UID, base: 0, end: 3, epoch: 1, state: new Uint8Array(0), blockBytes: 1 };
    expect(encodeImage(options, chunks).chunks.slice(1, 3)).toEqual(chunks);
    expect(encodeImage(options, chunks).chunks[2]).toBe(chunks[1]);
  });
});
