import type { JsonSchema } from '../plugin/schema.ts';
import type { Config } from './config.ts';
import { dotted, isObject, type Json, type JsonObject, type Path } from './draft.ts';
import { describeOrigin } from './issue.ts';

export interface ConfigLine {
  /** `brokers.kafka.port` */
  readonly path: string;
  readonly value: Json;
  /** `robust.yaml:3:5`, a variable, a flag, or `default`. */
  readonly origin: string;
}

/** In place of what a schema calls `secret: true`. */
const COVER = '********';

/** Every setting in force, with secrets covered. */
export function configValues({ draft, engines, brokers }: Config): JsonObject {
  const shown = structuredClone(draft.root);
  for (const [part, plugins] of Object.entries({ engines, brokers })) {
    const instances = shown[part];
    for (const { name, definition } of plugins)
      if (isObject(instances)) cover(instances[name], definition.configSchema);
  }
  return shown;
}

/** Every setting in force with where it came from, in the order of the schema, with secrets covered. */
export function configLines(config: Config): ConfigLine[] {
  const { draft } = config;
  const lines: ConfigLine[] = [];
  const walk = (value: Json, path: Path): void => {
    const entries: [string | number, Json][] = Array.isArray(value)
      ? [...value.entries()]
      : isObject(value)
        ? Object.entries(value)
        : [];
    if (entries.length === 0 && path.length > 0) {
      const origin = describeOrigin(draft.exactOrigin(path));
      // a flag has its value in it
      lines.push({ path: dotted(path), value, origin: value === COVER ? origin.replace(/=.*/s, `=${COVER}`) : origin });
    }
    for (const [key, inner] of entries) walk(inner, [...path, key]);
  };
  walk(configValues(config), []);
  return lines;
}

function cover(values: Json | undefined, schema: JsonSchema): void {
  if (!isObject(values)) return;
  const { properties = {} } = schema as { readonly properties?: Readonly<Record<string, JsonSchema>> };
  for (const [name, property] of Object.entries(properties)) {
    if (values[name] === undefined) continue;
    if (property.secret === true) values[name] = COVER;
    else cover(values[name], property);
  }
}
