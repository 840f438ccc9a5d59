import type { Origin } from './issue.ts';

/** Plain data, as YAML and JSON have it. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

export type Path = readonly (string | number)[];

/**
 * A configuration in the making: plain data, and beside it where each part came from. Later layers are laid over earlier
 * ones by {@link set} and {@link setDefault}.
 */
export class Draft {
  readonly root: JsonObject;
  /** By {@link pointer}: where the value stands, and where its key does. */
  readonly #values: Map<string, Origin> = new Map();
  readonly #keys: Map<string, Origin> = new Map();

  constructor(root: JsonObject = {}) {
    this.root = root;
  }

  mark(path: Path, value: Origin, key: Origin = value): void {
    const at = pointer(path);
    this.#values.set(at, value);
    this.#keys.set(at, key);
  }

  /** Of the value at `path`, or of the nearest thing around it. */
  origin(path: Path): Origin {
    return nearest(this.#values, path);
  }

  /** Of exactly this value: `default` when no layer set it. */
  exactOrigin(path: Path): Origin {
    return this.#values.get(pointer(path)) ?? { kind: 'default' };
  }

  /** Of the key that names `path`. */
  keyOrigin(path: Path): Origin {
    return nearest(this.#keys, path);
  }

  get(path: Path): Json | undefined {
    let at: Json | undefined = this.root;
    for (const step of path) at = child(at, step);
    return at;
  }

  /** Puts `value` at `path` over whatever is there, making the maps on the way. False when something on the way is no map or list. */
  set(path: Path, value: Json, origin: Origin): boolean {
    const last = path.at(-1);
    if (last === undefined) return false;
    let at: Json = this.root;
    for (const [i, step] of path.slice(0, -1).entries()) {
      let next: Json | undefined = child(at, step);
      if (next === undefined || next === null) {
        next = {};
        if (!assign(at, step, next)) return false;
        this.mark(path.slice(0, i + 1), origin);
      }
      at = next;
    }
    if (!assign(at, last, value)) return false;
    this.#forgetBelow(path);
    this.#markAll(path, value, origin);
    return true;
  }

  /** Puts `value` there unless something is, at any depth. */
  setDefault(path: Path, value: Json): void {
    const there = this.get(path);
    if (there === undefined || (there === null && isObject(value))) {
      this.set(path, structuredClone(value), { kind: 'default' });
    } else if (isObject(there) && isObject(value)) {
      for (const [key, inner] of Object.entries(value)) this.setDefault([...path, key], inner);
    }
  }

  remove(path: Path): void {
    const last = path.at(-1);
    const parent = this.get(path.slice(0, -1));
    if (isObject(parent) && typeof last === 'string') delete parent[last];
    this.#forgetBelow(path);
  }

  #markAll(path: Path, value: Json, origin: Origin): void {
    this.mark(path, origin);
    if (Array.isArray(value)) for (const [i, inner] of value.entries()) this.#markAll([...path, i], inner, origin);
    else if (isObject(value))
      for (const [key, inner] of Object.entries(value)) this.#markAll([...path, key], inner, origin);
  }

  #forgetBelow(path: Path): void {
    const prefix = `${pointer(path)}/`;
    for (const map of [this.#values, this.#keys])
      for (const key of map.keys()) if (key.startsWith(prefix)) map.delete(key);
  }
}

/** A JSON pointer, as ajv's `instancePath`. */
export function pointer(path: Path): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** `topics[0].retention.ms`, as people write it. */
export function dotted(path: Path): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i === 0 ? '' : '.'}${step}`)).join('');
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets an own property whatever its name is: `__proto__` in a file is only an unknown key. */
export function put(target: JsonObject, key: string, value: Json): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function child(of: Json | undefined, step: string | number): Json | undefined {
  if (Array.isArray(of)) return of[Number(step)];
  return isObject(of) && Object.hasOwn(of, step) ? of[step] : undefined;
}

function assign(to: Json, step: string | number, value: Json): boolean {
  if (Array.isArray(to)) {
    const index = Number(step);
    if (!Number.isInteger(index) || index < 0 || index > to.length) return false;
    to[index] = value;
    return true;
  }
  if (!isObject(to)) return false;
  put(to, String(step), value);
  return true;
}

function nearest(map: ReadonlyMap<string, Origin>, path: Path): Origin {
  for (let length = path.length; length >= 0; length--) {
    const found = map.get(pointer(path.slice(0, length)));
    if (found !== undefined) return found;
  }
  return { kind: 'default' };
}
