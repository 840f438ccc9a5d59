/** A JSON Schema, draft-07. Kept open on purpose: ajv judges it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}
