import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apis } from '../../src/api/registry.ts';
import { KafkaProtocolError } from '../../src/errors.ts';
import { codecOf } from '../../src/schema/compile.ts';
import type { Encodable, MessageTable } from '../../src/schema/table.ts';
import { MAX_ELEMENTS, Reader } from '../../src/wire/reader.ts';
import { Writer } from '../../src/wire/writer.ts';
import { messageOf } from '../support/message-arbitrary.ts';

const all = [...apis.values()].flatMap(({ api, min, max }) =>
  Array.from({ length: max - min + 1 }, (_, i) => ({ name: api.name, table: api.request, version: min + i })),
);

describe('bytes that are no request', () => {
  it('end in a message or in a typed error, whatever they are', () => {
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.uint8Array({ maxLength: 400 }), ({ table, version }, bytes) => {
        decodeOrTypedError(table, version, Buffer.from(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  it('end in a message or in a typed error when a good request is cut or changed', () => {
    const damaged = fc.constantFrom(...all).chain((of) =>
      fc.record({
        of: fc.constant(of),
        message: messageOf(of.table, of.version),
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        byte: fc.integer({ min: 0, max: 255 }),
        cut: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(damaged, ({ of, message, at, byte, cut }) => {
        const writer = new Writer();
        codecOf(of.table, of.version).encode(writer, message as Encodable<MessageTable>);
        const bytes = Buffer.concat(writer.finish());
        const position = Math.floor(at * bytes.length);
        if (cut) return decodeOrTypedError(of.table, of.version, bytes.subarray(0, position));
        if (position < bytes.length) bytes[position] = byte;
        decodeOrTypedError(of.table, of.version, bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('can not claim more elements than there are bytes for', () => {
    // Metadata 1: an array of topics, each a string of at least two bytes
    const metadata = apis.get(3)?.api.request as MessageTable;
    const lie = Buffer.alloc(8);
    lie.writeInt32BE(0x7fff_ffff);
    expect(() => codecOf(metadata, 1).decode(new Reader(lie))).toThrow(
      /an array says 2147483647 elements, 4 bytes are left/,
    );
    lie.writeInt32BE(-2);
    expect(() => codecOf(metadata, 1).decode(new Reader(lie))).toThrow(/a length of -2/);
  });

  it('can not make many objects of few bytes', () => {
    const metadata = apis.get(3)?.api.request as MessageTable;
    const many = Buffer.alloc(4 + 2 * (MAX_ELEMENTS + 1));
    many.writeInt32BE(MAX_ELEMENTS + 1);
    expect(() => codecOf(metadata, 1).decode(new Reader(many))).toThrow(`more than ${MAX_ELEMENTS} array elements`);
  });

  it('can not have strings longer than the protocol’s, or that are not UTF-8', () => {
    const writer = new Writer();
    writer.string('x'.repeat(0x8000), true);
    expect(() => new Reader(Buffer.concat(writer.finish())).string(true)).toThrow(/a string of 32768 bytes/);
    expect(() => new Reader(Buffer.from('0002c328', 'hex')).string(false)).toThrow(/not UTF-8/);
  });

  it('can not smuggle a number in that is no safe integer', () => {
    const reader = new Reader(Buffer.from('7fffffffffffffff', 'hex'));
    expect(() => reader.int64()).toThrow(KafkaProtocolError);
    expect(new Reader(Buffer.from('001fffffffffffff', 'hex')).int64()).toBe(Number.MAX_SAFE_INTEGER);
    expect(new Reader(Buffer.from('ffffffffffffffff', 'hex')).int64()).toBe(-1);
  });
});

function decodeOrTypedError(table: MessageTable, version: number, bytes: Buffer): void {
  try {
    codecOf(table, version).decode(new Reader(bytes));
  } catch (error) {
    if (!(error instanceof KafkaProtocolError)) throw error;
    expect(error.code).toBe('KAFKA_REQUEST_INVALID');
  }
}
