import { malformed } from '../errors.ts';
import type { Reader } from '../wire/reader.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { Writer } from '../wire/writer.ts';
import type { Decoded, Encodable, Field, Fields, FieldType, MessageTable, Primitive } from './table.ts';
import { fieldOf, inRange } from './table.ts';

/** One version of one message. */
export interface Codec<T extends MessageTable> {
  readonly flexible: boolean;
  /** @throws KAFKA_REQUEST_INVALID */
  decode(reader: Reader): Decoded<T>;
  encode(writer: Writer, message: Encodable<T>): void;
}

const compiled = new WeakMap<MessageTable, Map<number, Codec<MessageTable>>>();

/** The codec of a version that the table describes, compiled when it is first asked for: closures, one per field. */
export function codecOf<T extends MessageTable>(table: T, version: number): Codec<T> {
  const versions = compiled.get(table) ?? new Map<number, Codec<MessageTable>>();
  if (versions.size === 0) compiled.set(table, versions);
  const codec = versions.get(version) ?? compile(table, version);
  versions.set(version, codec);
  // the map is keyed by the table, so the codec found there was made of this very table
  return codec as unknown as Codec<T>;
}

function compile(table: MessageTable, version: number): Codec<MessageTable> {
  if (!inRange(version, table.versions)) throw new RangeError(`version ${version} is not in ${table.versions}`);
  const flexible = inRange(version, table.flexible);
  const type = compileStruct(table.fields, { version, flexible });
  return {
    flexible,
    // a structure decodes to an object with exactly the table's fields
    decode: (reader) => type.read(reader) as Decoded<MessageTable>,
    encode: (writer, message) => type.write(writer, message),
  };
}

interface Scope {
  readonly version: number;
  readonly flexible: boolean;
}

/** Values are `unknown` in here: the types in table.ts guard the way in and out. */
interface CompiledType {
  /** The fewest bytes a value takes: what bounds an array's length by the bytes that are left. */
  readonly minBytes: number;
  read(reader: Reader): unknown;
  write(writer: Writer, value: unknown): void;
}

interface CompiledField extends CompiledType {
  readonly name: string;
  readonly tag: number | undefined;
  readonly absent: unknown;
}

type Message = Record<string, unknown>;

function compileStruct(fields: Fields, scope: Scope): CompiledType {
  const plain: CompiledField[] = [];
  const tagged: CompiledField[] = [];
  const defaults: [string, unknown][] = [];
  for (const [name, spec] of Object.entries(fields)) {
    const field = fieldOf(spec);
    if (!inRange(scope.version, field.versions)) defaults.push([name, defaultOf(field)]);
    else (field.tag === undefined ? plain : tagged).push(compileField(name, field, scope));
  }
  for (const field of tagged) defaults.push([field.name, field.absent]);
  const readTags = scope.flexible ? tagReader(tagged) : undefined;
  return {
    minBytes: plain.reduce((sum, field) => sum + field.minBytes, scope.flexible ? 1 : 0),
    read(reader) {
      const message: Message = {};
      for (const field of plain) message[field.name] = field.read(reader);
      for (const [name, value] of defaults) message[name] = value;
      readTags?.(reader, message);
      return message;
    },
    write(writer, value) {
      // checked by Encodable at the handlers
      const message = value as Message;
      for (const field of plain) {
        const given = message[field.name];
        field.write(writer, given === undefined ? field.absent : given);
      }
      if (scope.flexible) writeTags(writer, message, tagged);
    },
  };
}

function tagReader(tagged: readonly CompiledField[]): (reader: Reader, message: Message) => void {
  const byTag = new Map(tagged.map((field) => [field.tag, field]));
  return (reader, message) => {
    let last = -1;
    for (let count = reader.uvarint(); count > 0; count--) {
      const tag = reader.uvarint();
      if (tag <= last) throw malformed(`tagged field ${tag} after ${last}`);
      last = tag;
      const size = reader.uvarint();
      const before = reader.remaining;
      const field = byTag.get(tag);
      // a newer client may send what this table does not know
      if (field === undefined) reader.skip(size);
      else {
        message[field.name] = field.read(reader);
        if (before - reader.remaining !== size)
          throw malformed(`tagged field ${tag} says ${size} bytes, takes ${before - reader.remaining}`);
      }
    }
  };
}

function writeTags(writer: Writer, message: Message, tagged: readonly CompiledField[]): void {
  const told = tagged.filter((field) => message[field.name] !== undefined && message[field.name] !== field.absent);
  writer.uvarint(told.length);
  for (const field of told) {
    writer.uvarint(field.tag ?? 0);
    const inner = new Writer();
    field.write(inner, message[field.name]);
    writer.sized(inner);
  }
}

function compileField(name: string, field: Field, scope: Scope): CompiledField {
  const nullable = field.nullable !== undefined && inRange(scope.version, field.nullable);
  return { name, tag: field.tag, absent: defaultOf(field), ...compileType(field.type, nullable, scope) };
}

function compileType(type: FieldType, nullable: boolean, scope: Scope): CompiledType {
  if (typeof type === 'string') return compilePrimitive(type, nullable, scope.flexible);
  if (isArray(type)) return compileArray(type[0], nullable, scope);
  if (nullable) throw new Error('nullable structures are not part of any message here');
  return compileStruct(type, scope);
}

function compileArray(elementType: Primitive | Fields, nullable: boolean, { version, flexible }: Scope): CompiledType {
  const element = compileType(elementType, false, { version, flexible });
  return {
    minBytes: flexible ? 1 : 4,
    read(reader) {
      const length = orNull(reader.arrayLength(flexible, element.minBytes), nullable);
      if (length === null) return null;
      const values: unknown[] = [];
      for (let i = 0; i < length; i++) values.push(element.read(reader));
      return values;
    },
    write(writer, value) {
      // checked by Encodable at the handlers
      const values = value as readonly unknown[] | null;
      writer.arrayLength(values === null ? -1 : values.length, flexible);
      for (const one of values ?? []) element.write(writer, one);
    },
  };
}

/** The casts in here are what Encodable has checked at the handlers. */
function compilePrimitive(type: Primitive, nullable: boolean, flexible: boolean): CompiledType {
  switch (type) {
    case 'int8':
      return { minBytes: 1, read: (r) => r.int8(), write: (w, v) => w.int8(v as number) };
    case 'int16':
      return { minBytes: 2, read: (r) => r.int16(), write: (w, v) => w.int16(v as number) };
    case 'int32':
      return { minBytes: 4, read: (r) => r.int32(), write: (w, v) => w.int32(v as number) };
    case 'int64':
      return { minBytes: 8, read: (r) => r.int64(), write: (w, v) => w.int64(v as number) };
    case 'bool':
      return { minBytes: 1, read: (r) => r.bool(), write: (w, v) => w.bool(v as boolean) };
    case 'uuid':
      return { minBytes: 16, read: (r) => r.uuid(), write: (w, v) => w.uuid(v as string) };
    case 'string':
      return {
        minBytes: flexible ? 1 : 2,
        read: (r) => orNull(r.string(flexible), nullable),
        write: (w, v) => w.string(v as string | null, flexible),
      };
    case 'bytes':
      return {
        minBytes: flexible ? 1 : 4,
        read: (r) => orNull(r.bytes(flexible), nullable),
        write: (w, v) => w.bytes(v as Uint8Array | null, flexible),
      };
    case 'records':
      return {
        minBytes: flexible ? 1 : 4,
        read: (r) => orNull(r.bytes(flexible), nullable),
        write: (w, v) => w.records(v as readonly Uint8Array[] | null, flexible),
      };
  }
}

function orNull<V>(value: V | null, nullable: boolean): V | null {
  if (value === null && !nullable) throw malformed('null where the protocol allows none');
  return value;
}

/** What a version that lacks the field means by its absence. */
function defaultOf(field: Field): unknown {
  if (field.default !== undefined) return field.default;
  if (isArray(field.type)) return NONE;
  switch (field.type) {
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return ZERO_UUID;
    case 'bytes':
    case 'records':
      return Buffer.alloc(0);
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return 0;
    default:
      return undefined;
  }
}

const NONE: readonly never[] = Object.freeze([]);

function isArray(type: FieldType): type is readonly [Primitive | Fields] {
  return Array.isArray(type);
}
