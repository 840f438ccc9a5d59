import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ArchivedTopic,
  decodeDocument,
  encodeDocument,
  joinTopics,
  paginate,
} from '../../src/archive/manifest.ts';
import { DEFAULTS } from '../storage/harness.ts';

/** Topics with so many shards, each with so many segments. */
function topicsOf(shape: readonly (readonly number[])[]): ArchivedTopic[] {
  return shape.map((shards, t) => ({
    name: `topic-${t}`,
    id: `id-${t}`,
    shardCount: shards.length,
    settings: DEFAULTS,
    shards: shards.map((count, shard) => ({
      shard,
      epoch: 3,
      logStart: 0,
      reserved: 1 << 20,
      nextSeq: count + 1,
      segments: Array.from({ length: count }, (_, i) => ({
        seq: i + 1,
        id: `id-${t}-${shard}-${i}`,
        base: 10 * i,
        end: 10 * i + 10,
        epoch: 2,
        bytes: 1000,
        crc: 7 * i,
        minTs: 1,
        maxTs: 2,
        appendMaxTs: 3,
        place: { object: `o${i}` },
      })),
    })),
  }));
}

const rest = { pages: 0, writtenAt: 5, cluster: 'c', instance: 'cold' };

describe('A manifest', () => {
  it('says the same in many documents as in one, and none is much larger than a page', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.nat(60), { maxLength: 5 }), { maxLength: 6 }),
        fc.integer({ min: 1500, max: 20_000 }),
        (shape, pageBytes) => {
          const topics = topicsOf(shape);
          const pages = paginate(topics, pageBytes);
          const read = pages.map((page, i) => {
            const bytes = encodeDocument({ ...rest, kind: 'page', number: i + 1, topics: page });
            expect(bytes.length).toBeLessThan(pageBytes + 2000);
            return decodeDocument(bytes, i + 1).topics;
          });
          expect(joinTopics(read)).toEqual(topics);
        },
      ),
    );
  });

  it('with one byte changed is refused, wherever that is', () => {
    const bytes = encodeDocument({ ...rest, kind: 'manifest', number: 9, topics: topicsOf([[3]]) });
    expect(decodeDocument(bytes, 9)).toMatchObject({ kind: 'manifest', number: 9, cluster: 'c' });
    for (let at = 0; at < bytes.length - 1; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => decodeDocument(changed, 9)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/CORRUPT|FORMAT_TOO_NEW/) }),
      );
    }
    expect(() => decodeDocument(bytes.subarray(0, bytes.length - 5), 9)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    );
    expect(() => decodeDocument(bytes, 8)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  });

  it('of a newer version is refused by that name', () => {
    const [line = ''] = Buffer.from(encodeDocument({ ...rest, kind: 'manifest', number: 1, topics: [] }))
      .toString()
      .split('\n');
    expect(() => decodeDocument(Buffer.from(line.replace('"version":1', '"version":2')), 1)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    );
    expect(() => decodeDocument(Buffer.from(`${line.replace('"version":1', '"version":2')}\n`), 1)).toThrow(
      expect.objectContaining({ code: 'FORMAT_TOO_NEW' }),
    );
  });
});
