import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { RobustError } from '../errors.ts';
import type { JsonSchema } from '../plugin/schema.ts';
import { type Draft, dotted, isObject, type Json, type Path } from './draft.ts';
import type { ConfigCode, ConfigIssue } from './issue.ts';
import { didYouMean } from './suggest.ts';
import { formatUnit, parseUnit, UNIT_EXAMPLES, type Unit } from './units.ts';

/**
 * Checks the part of a draft at `path` against a schema: texts with units become numbers, defaults are filled in, and each thing
 * that is wrong becomes one issue with its place.
 */
export function validatePart(draft: Draft, path: Path, schema: JsonSchema): ConfigIssue[] {
  const part = draft.get(path);
  if (part === undefined) return [];
  const validate = compile(schema);
  applyUnits(schema, schema, part, (inner, value) => {
    const at = [...path, ...inner];
    const parent = draft.get(at.slice(0, -1));
    const key = at.at(-1);
    // in place: the draft keeps where the text stood
    if (Array.isArray(parent)) parent[Number(key)] = value;
    else if (isObject(parent) && key !== undefined) parent[String(key)] = value;
  });
  if (validate(part)) return [];
  return mostTelling(validate.errors ?? []).map((error) => toIssue(draft, path, error));
}

/** Checks plain data, from a request for instance, in the same way. The data is changed: units become numbers. */
export function validateData(data: Json, schema: JsonSchema): { readonly path: string; readonly message: string }[] {
  const validate = compile(schema);
  const holder: { root: Json } = { root: data };
  applyUnits(schema, schema, data, (inner, value) => {
    const last = inner.at(-1);
    let at: Json | undefined = holder.root;
    for (const step of inner.slice(0, -1))
      at = Array.isArray(at) ? at[Number(step)] : isObject(at) ? at[step] : undefined;
    if (Array.isArray(at)) at[Number(last)] = value;
    else if (isObject(at) && last !== undefined) at[String(last)] = value;
  });
  if (validate(data)) return [];
  return mostTelling(validate.errors ?? []).map((error) => {
    const { path, message, hint } = describe(error);
    return { path: dotted(path), message: hint === undefined ? message : `${message}. ${hint}` };
  });
}

const compiled: WeakMap<JsonSchema, ValidateFunction> = new WeakMap();

/** @throws PLUGIN_INVALID when the schema itself is wrong: core's own are right, so it is a plug-in's. */
export function compile(schema: JsonSchema): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  let validate: ValidateFunction;
  try {
    shared ??= createAjv();
    validate = shared.compile(schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RobustError('PLUGIN_INVALID', `configSchema is no valid JSON Schema (draft-07): ${reason}`, {
      cause: error,
    });
  }
  compiled.set(schema, validate);
  return validate;
}

let shared: Ajv | undefined;

/** Made for a start in milliseconds: schemas are not checked against the schema of schemas, since compiling finds what is wrong with them, too. */
function createAjv(): Ajv {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    useDefaults: true,
    validateFormats: false,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    code: { optimize: false },
    logger: false,
  });
  ajv.addKeyword({ keyword: 'unit', schemaType: 'string' });
  ajv.addKeyword({ keyword: 'secret', schemaType: 'boolean' });
  // for docs and `config init`
  ajv.addVocabulary(['example', 'markdownDescription']);
  return ajv;
}

/** Walks schema and data together and turns `10m` into 600000 wherever the schema has `unit`. */
function applyUnits(
  root: JsonSchema,
  schema: unknown,
  data: Json,
  set: (path: (string | number)[], value: Json) => void,
  path: (string | number)[] = [],
  depth = 0,
): void {
  if (typeof schema !== 'object' || schema === null || depth > 64) return;
  // an object that is a schema: its keywords are looked at one by one below
  const keywords = schema as JsonSchema;
  const again = (inner: unknown, value: Json, step?: string | number): void =>
    applyUnits(root, inner, value, set, step === undefined ? path : [...path, step], depth + 1);

  if (typeof keywords.$ref === 'string' && keywords.$ref.startsWith('#/')) again(resolveRef(root, keywords.$ref), data);
  for (const keyword of ['allOf', 'anyOf', 'oneOf'])
    if (Array.isArray(keywords[keyword])) for (const branch of keywords[keyword]) again(branch, data);
  for (const keyword of ['if', 'then', 'else']) again(keywords[keyword], data);

  if (typeof data === 'string' && typeof keywords.unit === 'string') {
    const value = parseUnit(keywords.unit === 'bytes' ? 'bytes' : 'ms', data);
    if (value !== undefined) set(path, value);
  } else if (Array.isArray(data)) {
    for (const [i, item] of data.entries()) again(keywords.items, item, i);
  } else if (isObject(data)) {
    const properties = isRecord(keywords.properties) ? keywords.properties : {};
    for (const [key, value] of Object.entries(data)) {
      const own = Object.hasOwn(properties, key) ? properties[key] : keywords.additionalProperties;
      again(own, value, key);
    }
  }
}

function resolveRef(root: JsonSchema, ref: string): unknown {
  let at: unknown = root;
  for (const step of ref.slice(2).split('/'))
    at = isRecord(at) ? at[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
  return at;
}

/** Of the errors of a choice's branches only the choice itself is told; `if` repeats what `then` says. */
function mostTelling(errors: readonly ErrorObject[]): ErrorObject[] {
  const choices = errors.filter((error) => error.keyword === 'anyOf' || error.keyword === 'oneOf');
  const telling = errors.filter(
    (error) =>
      error.keyword !== 'if' &&
      error.propertyName === undefined &&
      !choices.some((choice) => choice !== error && error.schemaPath.startsWith(`${choice.schemaPath}/`)),
  );
  return telling.length === 0 ? [...errors] : telling;
}

function toIssue(draft: Draft, base: Path, error: ErrorObject): ConfigIssue {
  const { code, path, message, hint } = describe(error);
  const at = [...base, ...path];
  const origin =
    code === 'CONFIG_UNKNOWN_KEY' || error.keyword === 'propertyNames' ? draft.keyOrigin(at) : draft.origin(at);
  return { code, origin, path: dotted(at), message, ...(hint === undefined ? {} : { hint }) };
}

interface Described {
  readonly code: ConfigCode;
  readonly path: Path;
  readonly message: string;
  readonly hint: string | undefined;
}

function describe(error: ErrorObject): Described {
  const path = parsePointer(error.instancePath);
  const schema: Record<string, unknown> = isRecord(error.parentSchema) ? error.parentSchema : {};
  const unit = schema.unit === 'ms' || schema.unit === 'bytes' ? schema.unit : undefined;
  const params: Record<string, unknown> = error.params;
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params.additionalProperty);
      const known = isRecord(schema.properties) ? Object.keys(schema.properties) : [];
      return {
        code: 'CONFIG_UNKNOWN_KEY',
        path: [...path, key],
        message: 'there is no such setting',
        hint: didYouMean(key, known),
      };
    }
    case 'required': {
      const key = String(params.missingProperty);
      return { code: 'CONFIG_MISSING', path: [...path, key], message: 'this setting is missing', hint: undefined };
    }
    case 'type':
      return {
        code: 'CONFIG_TYPE',
        path,
        message: `${show(error.data)} is not ${unit === undefined ? typeName(params.type) : UNIT_EXAMPLES[unit]}`,
        hint: undefined,
      };
    case 'enum': {
      const allowed = Array.isArray(params.allowedValues) ? params.allowedValues.map(String) : [];
      return {
        code: 'CONFIG_VALUE',
        path,
        message: `${show(error.data)} is not one of ${allowed.join(', ')}`,
        hint: typeof error.data === 'string' ? meant(error.data, allowed) : undefined,
      };
    }
    case 'minimum':
    case 'exclusiveMinimum':
      return bound(path, error.data, 'must be at least', params.limit, unit);
    case 'maximum':
    case 'exclusiveMaximum':
      return bound(path, error.data, 'must be at most', params.limit, unit);
    case 'propertyNames':
      return {
        code: 'CONFIG_VALUE',
        path: [...path, String(params.propertyName)],
        message: `the name ${show(params.propertyName)} is not allowed here`,
        hint:
          isRecord(schema.propertyNames) && typeof schema.propertyNames.description === 'string'
            ? schema.propertyNames.description
            : undefined,
      };
    default:
      return {
        code: 'CONFIG_VALUE',
        path,
        message: `${show(error.data)} ${error.message ?? 'is not allowed'}`,
        hint: typeof schema.description === 'string' ? schema.description : undefined,
      };
  }
}

function meant(given: string, allowed: readonly string[]): string | undefined {
  const hint = didYouMean(given, allowed);
  return hint?.startsWith('Did') ? hint : undefined;
}

function bound(path: Path, data: unknown, words: string, limit: unknown, unit: Unit | undefined): Described {
  const text = (value: unknown): string =>
    unit !== undefined && typeof value === 'number' ? formatUnit(unit, value) : String(value);
  return { code: 'CONFIG_VALUE', path, message: `is ${text(data)}, ${words} ${text(limit)}`, hint: undefined };
}

/** ajv's pointers don't tell an index from a key of digits; a list has no keys of digits, and maps here have none either. */
function parsePointer(text: string): (string | number)[] {
  return text
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step) => (/^(0|[1-9][0-9]*)$/.test(step) ? Number(step) : step));
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function typeName(type: unknown): string {
  const names: Readonly<Record<string, string>> = {
    integer: 'a whole number',
    number: 'a number',
    string: 'a text',
    boolean: 'true or false',
    object: 'a map of settings',
    array: 'a list',
    null: 'empty',
  };
  const types = Array.isArray(type) ? type : [type];
  return types.map((name) => names[String(name)] ?? String(name)).join(' or ');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
