import { MAX_LEVELS } from './names.ts';

/**
 * Subscriptions by topic filter: one node a level, so that matching a name costs its levels and not the number of subscriptions. Under
 * each filter, one value a subscriber. Memory is given back with the last subscription below a node.
 */
export class SubscriptionTrie<Subscriber, Value> {
  readonly #root = new Node<Subscriber, Value>();
  #size = 0;

  /** Number of (filter, subscriber) pairs. */
  get size(): number {
    return this.#size;
  }

  /** @returns what this replaced [MQTT-3.8.4-3]. The filter must be valid. */
  set(filter: string, subscriber: Subscriber, value: Value): Value | undefined {
    let node = this.#root;
    for (const level of filter.split('/')) node = node.child(level);
    node.values ??= new Map();
    const before = node.values.get(subscriber);
    if (before === undefined) this.#size++;
    node.values.set(subscriber, value);
    return before;
  }

  /** @returns what was there. */
  delete(filter: string, subscriber: Subscriber): Value | undefined {
    const path = [this.#root];
    const levels = filter.split('/');
    for (const level of levels) {
      const next = path.at(-1)?.get(level);
      if (next === undefined) return undefined;
      path.push(next);
    }
    const node = path.at(-1);
    const before = node?.values?.get(subscriber);
    if (node?.values === undefined || before === undefined) return undefined;
    node.values.delete(subscriber);
    if (node.values.size === 0) node.values = undefined;
    this.#size--;
    for (let at = levels.length; at > 0 && path[at]?.empty === true; at--) path[at - 1]?.remove(levels[at - 1] ?? '');
    return before;
  }

  /** Calls `visit` for each subscription whose filter matches `name`; once per filter, so a subscriber may come up several times. */
  match(name: string, visit: (subscriber: Subscriber, value: Value) => void): void {
    const levels = name.split('/', MAX_LEVELS + 1);
    // [MQTT-4.7.2-1] a leading wildcard does not match a name that begins with $
    walk(this.#root, levels, 0, !name.startsWith('$'), (values) => {
      for (const [subscriber, value] of values) visit(subscriber, value);
      return false;
    });
  }

  /** Is anybody subscribed to `name`? */
  has(name: string): boolean {
    return walk(this.#root, name.split('/', MAX_LEVELS + 1), 0, !name.startsWith('$'), () => true);
  }
}

class Node<Subscriber, Value> {
  values: Map<Subscriber, Value> | undefined = undefined;
  plus: Node<Subscriber, Value> | undefined = undefined;
  hash: Node<Subscriber, Value> | undefined = undefined;
  literal: Map<string, Node<Subscriber, Value>> | undefined = undefined;

  get empty(): boolean {
    return (
      this.values === undefined && this.plus === undefined && this.hash === undefined && this.literal === undefined
    );
  }

  get(level: string): Node<Subscriber, Value> | undefined {
    if (level === '+') return this.plus;
    if (level === '#') return this.hash;
    return this.literal?.get(level);
  }

  child(level: string): Node<Subscriber, Value> {
    const known = this.get(level);
    if (known !== undefined) return known;
    const made = new Node<Subscriber, Value>();
    if (level === '+') this.plus = made;
    else if (level === '#') this.hash = made;
    else {
      this.literal ??= new Map();
      this.literal.set(level, made);
    }
    return made;
  }

  remove(level: string): void {
    if (level === '+') this.plus = undefined;
    else if (level === '#') this.hash = undefined;
    else {
      this.literal?.delete(level);
      if (this.literal?.size === 0) this.literal = undefined;
    }
  }
}

/** Depth first; stops and returns true as soon as `found` does. */
function walk<S, V>(
  node: Node<S, V>,
  levels: readonly string[],
  at: number,
  wildcards: boolean,
  found: (values: Map<S, V>) => boolean,
): boolean {
  if (wildcards && node.hash?.values !== undefined && found(node.hash.values)) return true; // `#` stands for none, one or more
  const level = levels[at];
  if (level === undefined) return node.values !== undefined && found(node.values);
  const literal = node.literal?.get(level);
  if (literal !== undefined && walk(literal, levels, at + 1, true, found)) return true;
  return wildcards && node.plus !== undefined && walk(node.plus, levels, at + 1, true, found);
}
