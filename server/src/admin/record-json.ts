import type { JsonSchema, RecordHeader, RecordToWrite, StoredRecord } from '@robustmq/core';

/** A record as JSON. Bytes that are no UTF-8 text stand in `keyBase64`, `valueBase64`; a missing key or value is null. */
export interface RecordJson {
  readonly shard?: number;
  readonly offset?: number;
  readonly timestamp?: number;
  readonly key?: string | null;
  readonly keyBase64?: string;
  readonly value?: string | null;
  readonly valueBase64?: string;
  readonly headers?: readonly HeaderJson[];
}

interface HeaderJson {
  readonly key: string;
  readonly value?: string | null;
  readonly valueBase64?: string;
}

const text = { type: ['string', 'null'] } as const;
const base64 = { type: 'string', pattern: '^[A-Za-z0-9+/]*={0,2}$' } as const;

/** Body of a request that publishes. */
export const PUBLISH: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['records'],
  properties: {
    records: {
      type: 'array',
      minItems: 1,
      maxItems: 10_000,
      items: {
        type: 'object',
        additionalProperties: false,
        properties: {
          shard: { type: 'integer', minimum: 0 },
          timestamp: { type: 'integer', minimum: 0 },
          key: text,
          keyBase64: base64,
          value: text,
          valueBase64: base64,
          headers: {
            type: 'array',
            maxItems: 1000,
            items: {
              type: 'object',
              additionalProperties: false,
              required: ['key'],
              properties: { key: { type: 'string' }, value: text, valueBase64: base64 },
            },
          },
        },
      },
    },
  },
};

export function fromJson(record: RecordJson, now: number): RecordToWrite {
  const headers = record.headers?.map(
    (header): RecordHeader => ({ key: header.key, value: bytesOf(header.value, header.valueBase64) }),
  );
  return {
    timestamp: record.timestamp ?? now,
    key: bytesOf(record.key, record.keyBase64),
    value: bytesOf(record.value, record.valueBase64),
    ...(headers === undefined ? {} : { headers }),
  };
}

export function toJson(record: StoredRecord, shard: number): RecordJson {
  const { offset, timestamp, key, value, headers } = record;
  return {
    shard,
    offset,
    timestamp,
    ...jsonOf('key', key),
    ...jsonOf('value', value),
    ...(headers.length === 0
      ? {}
      : { headers: headers.map((header): HeaderJson => ({ key: header.key, ...jsonOf('value', header.value) })) }),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function jsonOf(name: 'key' | 'value', bytes: Uint8Array | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null };
  try {
    return { [name]: utf8.decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') };
  }
}

function bytesOf(plain: string | null | undefined, encoded: string | undefined): Uint8Array | null {
  if (encoded !== undefined) return Buffer.from(encoded, 'base64');
  return plain === undefined || plain === null ? null : Buffer.from(plain);
}
