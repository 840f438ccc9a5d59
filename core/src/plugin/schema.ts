/**
 * A JSON Schema, draft-07. Kept open on purpose: ajv judges it. One keyword is this project's own: `unit: 'ms'` or `unit: 'bytes'`
 * beside `type: 'integer'` lets people write `10m` or `128MiB`; the plug-in gets the number.
 */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}
