import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apis } from '../../src/api/registry.ts';
import { codecOf } from '../../src/schema/compile.ts';
import type { Encodable, MessageTable } from '../../src/schema/table.ts';
import { Reader } from '../../src/wire/reader.ts';
import { Writer } from '../../src/wire/writer.ts';
import { asDecoded, messageOf } from '../support/message-arbitrary.ts';

describe.each([...apis.values()])('$api.name $min-$max', ({ api, min, max }) => {
  const versions = Array.from({ length: max - min + 1 }, (_, i) => min + i);
  it.each(versions)('version %i of request and response: what is encoded decodes to the same', (version) => {
    for (const table of [api.request, api.response])
      fc.assert(
        fc.property(messageOf(table, version), (message) => {
          const bytes = encode(table, version, message);
          const reader = new Reader(bytes);
          expect(codecOf(table, version).decode(reader)).toEqual(asDecoded(table, version, message));
          expect(reader.remaining).toBe(0);
        }),
        { numRuns: 25 },
      );
  });
});

describe('the codec', () => {
  it('hands record chunks through without a copy, in both directions', () => {
    const produce = apis.get(0)?.api;
    if (produce === undefined) throw new Error('no Produce');
    const chunk = Buffer.alloc(1000, 7);
    const writer = new Writer();
    codecOf(produce.request, 9).encode(writer, {
      ...{ transactionalId: null, acks: -1, timeoutMs: 1 },
      topicData: [{ name: 't', topicId: '', partitionData: [{ index: 0, records: [chunk] }] }],
    } as unknown as Encodable<MessageTable>);
    const parts = writer.finish();
    expect(parts).toContain(chunk);
    const frame = Buffer.concat(parts);
    const decoded = codecOf(produce.request, 9).decode(new Reader(frame)) as unknown as {
      topicData: { partitionData: { records: Buffer }[] }[];
    };
    expect(decoded.topicData[0]?.partitionData[0]?.records.buffer).toBe(frame.buffer);
  });

  it('skips tagged fields that it does not know', () => {
    const apiVersions = apis.get(18)?.api;
    if (apiVersions === undefined) throw new Error('no ApiVersions');
    const writer = new Writer();
    writer.string('name', true);
    writer.string('1.0', true);
    writer.uvarint(1);
    writer.uvarint(4711);
    writer.uvarint(3);
    for (const byte of [1, 2, 3]) writer.int8(byte);
    const reader = new Reader(Buffer.concat(writer.finish()));
    expect(codecOf(apiVersions.request, 3).decode(reader)).toEqual({
      clientSoftwareName: 'name',
      clientSoftwareVersion: '1.0',
    });
    expect(reader.remaining).toBe(0);
  });
});

function encode(table: MessageTable, version: number, message: Record<string, unknown>): Buffer {
  const writer = new Writer();
  codecOf(table, version).encode(writer, message as Encodable<MessageTable>);
  const bytes = Buffer.concat(writer.finish());
  expect(writer.length).toBe(bytes.length);
  return bytes;
}
