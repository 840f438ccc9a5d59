/**
 * A JSON Schema, draft-07. Kept open on purpose: ajv judges it. One keyword is this project's own: `unit: 'ms'` or `unit: 'bytes'`
 * beside `type: 'integer'` lets people write `10m` or `128MiB`; the plug-in gets the number.
 */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/**
 * The settings that a schema written `as const satisfies JsonSchema` describes, as a plug-in is given them: what has a default or is
 * required is there, the rest may be missing. So that a setting and its type can't come apart.
 */
export type SettingsOf<Schema extends JsonSchema> = Schema extends {
  readonly properties: infer Properties extends Readonly<Record<string, JsonSchema>>;
}
  ? Flat<
      { readonly [Name in Always<Schema, Properties>]: ValueOf<Properties[Name]> } & {
        readonly [Name in Exclude<keyof Properties, Always<Schema, Properties>>]?: ValueOf<Properties[Name]>;
      }
    >
  : Readonly<Record<string, never>>;

type Always<Schema, Properties> = {
  [Name in keyof Properties]: Properties[Name] extends { readonly default: unknown }
    ? Name
    : Schema extends { readonly required: readonly (infer Required)[] }
      ? Name extends Required
        ? Name
        : never
      : never;
}[keyof Properties];

type ValueOf<Schema> = Schema extends { readonly enum: readonly (infer Value)[] }
  ? Value
  : Schema extends { readonly type: 'string' }
    ? string
    : Schema extends { readonly type: 'integer' | 'number' }
      ? number
      : Schema extends { readonly type: 'boolean' }
        ? boolean
        : Schema extends { readonly type: 'array'; readonly items: infer Items }
          ? readonly ValueOf<Items>[]
          : Schema extends { readonly type: 'object' } & JsonSchema
            ? SettingsOf<Schema>
            : unknown;

type Flat<Type> = { readonly [Name in keyof Type]: Type[Name] };
