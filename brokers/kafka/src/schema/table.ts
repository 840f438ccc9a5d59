/**
 * The language of the schema tables in this folder, and the types that follow from a table.
 *
 *     export const request = {
 *       versions: '2-4', flexible: '4+',
 *       fields: {
 *         replicaId: { type: 'int32', versions: '3+', default: -2 },   // absent in version 2: decodes to the default
 *         topics: [{ topic: 'string', partitions: [{ partition: 'int32' }] }],
 *       },
 *     } as const;
 *
 * A field is a type, or `{ type, versions, nullable, tag, default }`. A type is a primitive's name, `[type]` for an array, or an
 * object of fields for a structure. Ranges are `3`, `3-5`, `3+` or `none`; without one a field is in every version its
 * structure is in. Tables are checked against Kafka's own schemas by a test; `compile.ts` makes encoders and decoders of them.
 */
export interface MessageTable {
  /** The versions that this table describes; the broker serves all of them. */
  readonly versions: string;
  /** Those with compact lengths and tagged fields. */
  readonly flexible: string;
  readonly fields: Fields;
}

export interface Fields {
  readonly [name: string]: Field | FieldType;
}

export interface Field {
  readonly type: FieldType;
  readonly versions?: string;
  readonly nullable?: string;
  readonly tag?: number;
  readonly default?: string | number | boolean | null;
}

export type FieldType = Primitive | readonly [Primitive | Fields] | Fields;

export type Primitive = 'int8' | 'int16' | 'int32' | 'int64' | 'bool' | 'string' | 'uuid' | 'bytes' | 'records';

/** A field with everything spelled out. */
export function fieldOf(spec: Field | FieldType): Field {
  return isField(spec) ? spec : { type: spec };
}

/** No structure of the protocol has a field that is called `type`. */
function isField(spec: Field | FieldType): spec is Field {
  return typeof spec === 'object' && 'type' in spec;
}

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

export function versionRange(text: string | undefined): VersionRange {
  if (text === undefined) return { min: 0, max: Number.POSITIVE_INFINITY };
  if (text === 'none') return { min: 1, max: 0 };
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  if (match === null) throw new Error(`not a version range: ${text}`);
  const min = Number(match[1]);
  if (match[2] === '+') return { min, max: Number.POSITIVE_INFINITY };
  return { min, max: match[3] === undefined ? min : Number(match[3]) };
}

export function inRange(version: number, text: string | undefined): boolean {
  const { min, max } = versionRange(text);
  return version >= min && version <= max;
}

/** What a decoder makes of a message: every field is there, with its default in versions that lack it. */
export type Decoded<T extends MessageTable> = DecodedFields<T['fields']>;
type DecodedFields<F extends Fields> = { readonly [K in keyof F]: DecodedField<F[K]> };
type DecodedField<F> = F extends { readonly type: infer T } ? DecodedType<T> | Null<F> | Untold<F> : DecodedType<F>;
type DecodedType<T> = T extends keyof DecodedPrimitives
  ? DecodedPrimitives[T]
  : T extends readonly [infer E]
    ? readonly DecodedType<E>[]
    : T extends Fields
      ? DecodedFields<T>
      : never;

/** What an encoder takes: fields with a default, and tagged ones, may be left out. */
export type Encodable<T extends MessageTable> = EncodableFields<T['fields']>;
type EncodableFields<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Optional ? never : K]: EncodableField<F[K]>;
} & { readonly [K in keyof F as F[K] extends Optional ? K : never]?: EncodableField<F[K]> | undefined };
type EncodableField<F> = F extends { readonly type: infer T } ? EncodableType<T> | Null<F> : EncodableType<F>;
type EncodableType<T> = T extends keyof EncodablePrimitives
  ? EncodablePrimitives[T]
  : T extends readonly [infer E]
    ? readonly EncodableType<E>[]
    : T extends Fields
      ? EncodableFields<T>
      : never;

type Optional = { readonly default: unknown } | { readonly tag: number };
type Null<F> = F extends { readonly nullable: string } ? null : never;
/** A tagged structure that was not sent. */
type Untold<F> = F extends { readonly tag: number; readonly type: Primitive | readonly [unknown] }
  ? never
  : F extends { readonly tag: number }
    ? undefined
    : never;

interface SharedPrimitives {
  int8: number;
  int16: number;
  int32: number;
  int64: number;
  bool: boolean;
  string: string;
  uuid: string;
}
interface DecodedPrimitives extends SharedPrimitives {
  bytes: Buffer;
  /** A view of the request's frame. */
  records: Buffer;
}
interface EncodablePrimitives extends SharedPrimitives {
  bytes: Uint8Array;
  /** Whole batches as the store gave them. */
  records: readonly Uint8Array[];
}
