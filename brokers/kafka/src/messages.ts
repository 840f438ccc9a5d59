/**
 * Headers of requests and responses.
 *
 *     request   size int32 | api key int16 | api version int16 | correlation id int32 | client id nullable string | [tags]
 *     response  size int32 | correlation id int32 | [tags]
 *
 * The tags are there in flexible versions; never in ApiVersions responses, so that a client can read one before it knows us.
 */
import type { Api } from './api/api.ts';
import { codecOf } from './schema/compile.ts';
import type { Encodable, MessageTable } from './schema/table.ts';
import type { Reader } from './wire/reader.ts';
import { Writer } from './wire/writer.ts';

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
}

export const API_VERSIONS_KEY = 18;

export function readRequestHeader(reader: Reader): RequestHeader {
  return {
    apiKey: reader.int16(),
    apiVersion: reader.int16(),
    correlationId: reader.int32(),
    clientId: reader.remaining === 0 ? null : reader.string(false),
  };
}

export function skipHeaderTags(reader: Reader): void {
  for (let count = reader.uvarint(); count > 0; count--) {
    reader.uvarint();
    reader.skip(reader.uvarint());
  }
}

/** A whole frame, its size in front. */
export function encodeResponse(
  api: Pick<Api, 'key' | 'response'>,
  header: Pick<RequestHeader, 'apiVersion' | 'correlationId'>,
  message: Encodable<MessageTable>,
): readonly Uint8Array[] {
  const codec = codecOf(api.response, header.apiVersion);
  const writer = new Writer();
  writer.int32(0);
  writer.int32(header.correlationId);
  if (codec.flexible && api.key !== API_VERSIONS_KEY) writer.uvarint(0);
  codec.encode(writer, message);
  const length = writer.length;
  const parts = writer.finish();
  const first = parts[0];
  // the size was written first, so the first part has its four bytes
  if (first !== undefined) new DataView(first.buffer, first.byteOffset).setInt32(0, length - 4);
  return parts;
}
