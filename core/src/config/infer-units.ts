import type { JsonSchema } from '../plugin/schema.ts';
import type { Unit } from './units.ts';

const inferred: WeakMap<JsonSchema, JsonSchema> = new WeakMap();

/**
 * A number whose name ends in `Ms` or `Bytes` takes durations or sizes in every plug-in, whether its author knew of `unit` or not: people
 * should not have to remember which one did.
 */
export function inferUnits(schema: JsonSchema): JsonSchema {
  const known = inferred.get(schema);
  if (known !== undefined) return known;
  // an object in, an object out
  const result = walk(schema, '') as JsonSchema;
  inferred.set(schema, result);
  return result;
}

function walk(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.map((item) => walk(item, name));
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [keyword, inner] of Object.entries(value)) {
    if (keyword === 'properties' && typeof inner === 'object' && inner !== null)
      copy.properties = Object.fromEntries(Object.entries(inner).map(([key, property]) => [key, walk(property, key)]));
    else copy[keyword] = keyword === 'default' || keyword === 'enum' || keyword === 'const' ? inner : walk(inner, '');
  }
  const unit = unitOf(name);
  if (unit !== undefined && copy.unit === undefined && (copy.type === 'integer' || copy.type === 'number'))
    copy.unit = unit;
  return copy;
}

function unitOf(name: string): Unit | undefined {
  if (/(^ms|Ms)$/.test(name)) return 'ms';
  return /(^bytes|Bytes)$/.test(name) ? 'bytes' : undefined;
}
