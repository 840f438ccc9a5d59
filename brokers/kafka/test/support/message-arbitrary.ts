import fc from 'fast-check';
import { type Fields, type FieldType, fieldOf, inRange, type MessageTable } from '../../src/schema/table.ts';

/** Any message that a table allows in one version, as an encoder takes it. */
export function messageOf(table: MessageTable, version: number): fc.Arbitrary<Record<string, unknown>> {
  return struct(table.fields, version);
}

function struct(fields: Fields, version: number): fc.Arbitrary<Record<string, unknown>> {
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [name, spec] of Object.entries(fields)) {
    const field = fieldOf(spec);
    if (!inRange(version, field.versions)) continue;
    const value = anyOf(field.type, version);
    model[name] =
      field.nullable !== undefined && inRange(version, field.nullable) ? fc.option(value, { freq: 4 }) : value;
  }
  return fc.record(model);
}

function anyOf(type: FieldType, version: number): fc.Arbitrary<unknown> {
  if (typeof type === 'object') {
    if (!Array.isArray(type)) return struct(type as Fields, version);
    return fc.array(anyOf(type[0] as FieldType, version), { maxLength: 3 });
  }
  switch (type) {
    case 'int8':
      return fc.integer({ min: -128, max: 127 });
    case 'int16':
      return fc.integer({ min: -32768, max: 32767 });
    case 'int32':
      return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    case 'int64':
      return fc.maxSafeInteger();
    case 'bool':
      return fc.boolean();
    case 'string':
      return fc.oneof(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.constant('x'.repeat(300)));
    case 'uuid':
      return fc.uuid();
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    default:
      return fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 });
  }
}

/** The message as a decoder gives it: everything told, absent fields with their defaults, records in one piece. */
export function asDecoded(table: MessageTable, version: number, message: Record<string, unknown>): unknown {
  return decodedStruct(table.fields, version, message);
}

const ZEROS: Record<string, unknown> = { bool: false, string: '', uuid: '00000000-0000-0000-0000-000000000000' };

function decodedStruct(fields: Fields, version: number, message: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, spec]) => {
      const field = fieldOf(spec);
      const told = message[name];
      if (told !== undefined) return [name, decodedValue(field.type, version, told)];
      if (field.default !== undefined) return [name, field.default];
      if (Array.isArray(field.type)) return [name, []];
      if (typeof field.type === 'object') return [name, undefined];
      return [name, field.type in ZEROS ? ZEROS[field.type] : 0];
    }),
  );
}

function decodedValue(type: FieldType, version: number, value: unknown): unknown {
  if (value === null) return null;
  if (type === 'records') return Buffer.concat(value as Uint8Array[]);
  if (typeof type !== 'object') return value;
  if (!Array.isArray(type)) return decodedStruct(type as Fields, version, value as Record<string, unknown>);
  return (value as unknown[]).map((one) => decodedValue(type[0] as FieldType, version, one));
}
