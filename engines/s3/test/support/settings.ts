import { type S3Settings, SETTINGS_SCHEMA } from '../../src/settings.ts';

/** The schema's defaults with some of one's own. */
export function settingsOf(own: Partial<S3Settings> = {}): S3Settings {
  return { ...defaultsOf(SETTINGS_SCHEMA), bucket: 'bucket', ...own } as S3Settings; // as the schema says
}

function defaultsOf(schema: unknown): Record<string, unknown> {
  const { properties = {} } = schema as { readonly properties?: Readonly<Record<string, unknown>> };
  const values: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(properties)) {
    const { default: fallback, properties: inner } = property as {
      readonly default?: unknown;
      readonly properties?: object;
    };
    if (inner !== undefined) values[name] = defaultsOf(property);
    else if (fallback !== undefined) values[name] = fallback;
  }
  return values;
}
