import { OBJECT_PROPERTIES, type ObjectSettings } from '../../src/settings.ts';

/** The schema's defaults with some of one's own. */
export function settingsOf(own: Partial<ObjectSettings> = {}): ObjectSettings {
  return { ...defaultsOf(OBJECT_PROPERTIES), ...own } as ObjectSettings; // as the schema says
}

export function defaultsOf(properties: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(properties)) {
    const { default: fallback, properties: inner } = property as {
      readonly default?: unknown;
      readonly properties?: Readonly<Record<string, unknown>>;
    };
    if (inner !== undefined) values[name] = defaultsOf(inner);
    else if (fallback !== undefined) values[name] = fallback;
  }
  return values;
}
