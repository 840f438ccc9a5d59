import { type Draft, dotted, isObject, type Json, type Path } from './draft.ts';
import { describeOrigin } from './issue.ts';

export interface ConfigLine {
  /** `brokers.kafka.port` */
  readonly path: string;
  readonly value: Json;
  /** `robust.yaml:3:5`, a variable, a flag, or `default`. */
  readonly origin: string;
}

/** Every setting in force with where it came from, in the order of the schema. */
export function configLines(draft: Draft): ConfigLine[] {
  const lines: ConfigLine[] = [];
  const walk = (value: Json, path: Path): void => {
    const entries: [string | number, Json][] = Array.isArray(value)
      ? [...value.entries()]
      : isObject(value)
        ? Object.entries(value)
        : [];
    if (entries.length === 0 && path.length > 0)
      lines.push({ path: dotted(path), value, origin: describeOrigin(draft.exactOrigin(path)) });
    for (const [key, inner] of entries) walk(inner, [...path, key]);
  };
  walk(draft.root, []);
  return lines;
}
