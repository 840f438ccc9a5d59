import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frame } from '../../src/codec/byte-writer.ts';
import { Framer } from '../../src/codec/framer.ts';

function collect(framer: Framer, chunk: Uint8Array): string[] {
  framer.push(chunk);
  const found: string[] = [];
  for (let body = framer.next(); body !== undefined; body = framer.next())
    found.push(`${framer.firstByte.toString(16)} ${Buffer.from(body).toString('hex')}`);
  return found;
}

/** One whose CONNECT is behind it. */
function open(maxPacketBytes: number): Framer {
  const framer = new Framer(maxPacketBytes);
  framer.onlyConnect = false;
  return framer;
}

describe('the framer', () => {
  test('gives the same packets however the stream is cut', () => {
    const body = fc.uint8Array({ maxLength: 400 });
    const packet = fc.tuple(fc.integer({ min: 0x10, max: 0xff }), body);
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 300 })), (packets, cuts) => {
        const stream = Buffer.concat(packets.map(([first, bytes]) => frame(first, bytes)));
        const framer = open(1_000_000);
        const found: string[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          found.push(...collect(framer, stream.subarray(at, at + cut)));
          at = Math.min(stream.length, at + cut);
        }
        expect(found).toEqual(
          packets.map(([first, bytes]) => `${first.toString(16)} ${Buffer.from(bytes).toString('hex')}`),
        );
      }),
    );
  });

  test('keeps of a packet only what has come, whatever its length claims', () => {
    const framer = open(268_435_460);
    expect(collect(framer, Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3))).toEqual([]);
    expect(framer.pending).toBe(3);
  });

  test('copies each byte a bounded number of times when a packet comes byte by byte', () => {
    const framer = open(1_000_000);
    const stream = frame(0x30, new Uint8Array(200_000));
    const sizes = new Set<number>();
    for (let at = 0; at < stream.length; at++) {
      framer.push(stream.subarray(at, at + 1));
      if (framer.next() === undefined) sizes.add(framer.capacity);
    }
    expect(sizes.size).toBeLessThan(12); // doubled, not grown by each chunk
  });

  test('[MQTT-3.1.0-1] knows by the first byte that a stream does not begin with a CONNECT', () => {
    const framer = new Framer(1000);
    framer.push(Buffer.from('GET / HTTP/1.1'));
    expect(() => framer.next()).toThrow(expect.objectContaining({ reason: 0x82 }));
  });

  test.each([
    ['a reserved type, before anything else', [0x00], 0x82],
    ['a length of five bytes', [0x30, 0xff, 0xff, 0xff, 0xff], 0x81],
    ['a length in more bytes than it needs', [0x30, 0x80, 0x00], 0x81],
    ['a packet above the limit, before its body', [0x30, 0x80, 0x08], 0x95],
  ])('refuses %s', (_what, bytes, reason) => {
    const framer = open(1000);
    framer.push(Uint8Array.from(bytes));
    expect(() => framer.next()).toThrow(expect.objectContaining({ reason }));
  });
});
