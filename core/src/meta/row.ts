/**
 * How core writes its rows in Meta: the magic `RM`, a format version, a kind, then JSON. Each kind has one codec, so that a row is never
 * read as something else, and an older binary says that it can't read a newer row instead of dropping fields.
 */
import { StorageError } from '../errors.ts';

export interface RowCodec<Row> {
  encode(row: Row): Uint8Array;
  /** @throws CORRUPT, FORMAT_TOO_NEW */
  decode(value: Uint8Array, key: string): Row;
}

/** `kind` is one ASCII letter; `check` narrows what JSON gave, or throws. */
export function rowCodec<Row>(
  kind: string,
  version: number,
  check: (json: Record<string, unknown>) => Row,
): RowCodec<Row> {
  const head = Buffer.from([0x52, 0x4d, version, kind.charCodeAt(0)]);
  return {
    encode: (row) => Buffer.concat([head, Buffer.from(JSON.stringify(row))]),
    decode: (value, key) => {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      if (bytes.length < 4 || bytes[0] !== 0x52 || bytes[1] !== 0x4d || bytes[3] !== head[3])
        throw new StorageError('CORRUPT', `not a Meta row of kind ${kind}`, { where: key });
      if ((bytes[2] ?? 0) > version)
        throw new StorageError('FORMAT_TOO_NEW', `Meta row of version ${bytes[2]}, this build reads up to ${version}`, {
          where: key,
          hint: 'Start the newer build that wrote it',
        });
      try {
        return check(JSON.parse(bytes.toString('utf8', 4)) as Record<string, unknown>); // an object or `check` fails
      } catch (cause) {
        throw new StorageError('CORRUPT', `unreadable Meta row of kind ${kind}`, { where: key, cause });
      }
    },
  };
}
