/**
 * Compares the schema tables, field by field, with Kafka's own message definitions where a copy of them is at hand:
 * `ROBUSTMQ_KAFKA_SCHEMAS=/path/to/clients/src/main/resources/common/message`, or `../shared/kafka-messages` beside the repository.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { apis } from '../../src/api/registry.ts';
import { type Fields, type FieldType, fieldOf, inRange, type MessageTable } from '../../src/schema/table.ts';

const beside = join(import.meta.dirname, '../../../../../shared/kafka-messages');
const schemas = process.env.ROBUSTMQ_KAFKA_SCHEMAS ?? (existsSync(beside) ? beside : undefined);

interface Fact {
  readonly name: string;
  readonly type: string;
  readonly versions?: string;
  readonly nullableVersions?: string;
  readonly taggedVersions?: string;
  readonly tag?: number;
  readonly default?: string | number;
  readonly fields?: readonly Fact[];
}

interface Facts {
  readonly apiKey: number;
  readonly validVersions: string;
  readonly flexibleVersions: string;
  readonly fields: readonly Fact[];
}

if (schemas === undefined)
  console.warn('SKIPPED: the Kafka schema tables are not compared with the facts, set ROBUSTMQ_KAFKA_SCHEMAS to do so');

describe.skipIf(schemas === undefined)('the schema tables agree with the definitions of Kafka', () => {
  it.each([...apis.values()])('$api.name $min-$max', ({ api, min, max }) => {
    for (const [table, kind] of [
      [api.request, 'Request'],
      [api.response, 'Response'],
    ] as const) {
      const facts = read(`${api.name}${kind}.json`);
      expect(facts.apiKey).toBe(api.key);
      expect(table.versions).toBe(`${min}-${max}`);
      const newest = Number(facts.validVersions.split('-').at(-1));
      expect(max).toBeLessThanOrEqual(newest);
      for (let version = min; version <= max; version++) {
        expect(inRange(version, table.flexible), `flexible ${version}`).toBe(inRange(version, facts.flexibleVersions));
        expect(ours(table, version), `${api.name}${kind} ${version}`).toEqual(theirs(facts.fields, version));
      }
    }
  });
});

function read(file: string): Facts {
  const text = readFileSync(join(schemas ?? '', file), 'utf8');
  return JSON.parse(text.replace(/^\s*\/\/.*$/gm, '')) as Facts;
}

type Line = readonly [
  name: string,
  type: string,
  nullable: boolean,
  tag: number | null,
  fallback: string,
  inner: unknown,
];

function ours(table: MessageTable, version: number): Line[] {
  return lines(table.fields, version);
}

function lines(fields: Fields, version: number): Line[] {
  return Object.entries(fields).flatMap(([name, spec]) => {
    const field = fieldOf(spec);
    if (!inRange(version, field.versions)) return [];
    const element: FieldType = Array.isArray(field.type) ? (field.type[0] as FieldType) : field.type;
    const kind = typeof element === 'string' ? element : 'struct';
    const line: Line = [
      name,
      Array.isArray(field.type) ? `[]${kind}` : kind,
      field.nullable !== undefined && inRange(version, field.nullable),
      field.tag ?? null,
      fallback(field.default, Array.isArray(field.type) ? 'array' : kind),
      typeof element === 'string' ? null : lines(element as Fields, version),
    ];
    return [line];
  });
}

function theirs(facts: readonly Fact[], version: number): Line[] {
  return facts.flatMap((fact) => {
    if (!inRange(version, fact.versions)) return [];
    const bare = fact.type.replace('[]', '');
    const kind = fact.fields === undefined ? bare : 'struct';
    const array = fact.type.startsWith('[]');
    const line: Line = [
      fact.name.charAt(0).toLowerCase() + fact.name.slice(1),
      array ? `[]${kind}` : kind,
      fact.nullableVersions !== undefined && inRange(version, fact.nullableVersions),
      fact.taggedVersions !== undefined && inRange(version, fact.taggedVersions) ? (fact.tag ?? null) : null,
      fallback(fact.default, array ? 'array' : kind),
      fact.fields === undefined ? null : theirs(fact.fields, version),
    ];
    return [line];
  });
}

/** Defaults in one spelling: what is not said is the type's zero. */
function fallback(value: string | number | boolean | null | undefined, kind: string): string {
  if (value === undefined) {
    if (kind === 'array' || kind === 'struct') return kind;
    return kind === 'bool' ? 'false' : kind.startsWith('int') ? '0' : '';
  }
  const text = String(value);
  return text.startsWith('0x') ? String(Number(text)) : text;
}
