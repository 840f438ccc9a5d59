import { setImmediate as later } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { putStream } from '../../src/store/stream.ts';

const PART = 1000;

async function* source(chunks: number, bytes: number): AsyncGenerator<Uint8Array> {
  // it uses its own buffer again, as a source may
  const chunk = Buffer.alloc(bytes);
  for (let i = 0; i < chunks; i++) yield chunk.fill(i);
}

const sent = (chunks: number, bytes: number): Buffer =>
  Buffer.concat(Array.from({ length: chunks }, (_, i) => Buffer.alloc(bytes, i)));

/** Keeps the bodies themselves, and a copy of each as it was when its part was put. */
async function put(returnsParts: boolean) {
  const bodies: Uint8Array[] = [];
  const copies: Buffer[] = [];
  await putStream(source(37, 270), {
    ...{ partBytes: PART, partsAtOnce: 3, returnsParts },
    whole: () => Promise.reject(new Error('it is larger than a part')),
    begin: async () => 'upload',
    part: async (_, part, [body = new Uint8Array(0)]) => {
      bodies[part - 1] = body;
      // the second is slower than those behind it
      for (let turn = 0; turn < (part === 2 ? 20 : 2); turn++) await later();
      copies[part - 1] = Buffer.from(body);
      return String(part);
    },
    complete: async () => {},
    abort: async () => {},
  });
  return { bodies, copies };
}

describe('a stream in parts', () => {
  test('uses the memory of parts that were put again, and of no other', async () => {
    const { bodies, copies } = await put(true);
    expect(Buffer.concat(copies)).toEqual(sent(37, 270));
    const buffers = new Set(bodies.map(({ buffer }) => buffer));
    expect(bodies.length).toBe(10);
    // three on their way, and one that is being filled
    expect(buffers.size).toBeLessThanOrEqual(4);
  });

  test('touches no part again when an earlier try may still be sending it', async () => {
    const { bodies } = await put(false);
    expect(Buffer.concat(bodies)).toEqual(sent(37, 270));
    expect(new Set(bodies.map(({ buffer }) => buffer)).size).toBe(bodies.length);
  });
});
