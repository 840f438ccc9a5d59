/**
 * Topic names and topic filters of MQTT: levels split by `/`; in a filter `+` stands for one level, a last `#` for any number.
 * Both are kept as strings; the spec's rules on characters below them (valid UTF-8) are the decoder's business.
 */

/** Bytes of UTF-8 that a length prefix of the protocol can hold. */
export const MAX_NAME_BYTES = 65_535;
/** Levels of a name or filter: a bound on the depth of the subscription trie, which is walked by recursion. */
export const MAX_LEVELS = 128;

/** What is wrong with a topic name, if anything. */
export function topicNameProblem(name: string): string | undefined {
  if (name.length === 0) return 'is empty'; // [MQTT-4.7.3-1]
  for (let i = 0, levels = 1; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === 0x2b || code === 0x23) return 'holds a wildcard'; // [MQTT-3.3.2-2]
    if (code === 0) return 'holds U+0000'; // [MQTT-4.7.3-2]
    if (code === 0x2f && ++levels > MAX_LEVELS) return `has more than ${MAX_LEVELS} levels`;
  }
  return tooLong(name);
}

/** What is wrong with a topic filter, if anything. */
export function topicFilterProblem(filter: string): string | undefined {
  if (filter.length === 0) return 'is empty'; // [MQTT-4.7.3-1]
  if (filter.includes('\0')) return 'holds U+0000'; // [MQTT-4.7.3-2]
  const levels = filter.split('/');
  if (levels.length > MAX_LEVELS) return `has more than ${MAX_LEVELS} levels`;
  for (const [at, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || at !== levels.length - 1))
      return 'has a # that is not a last level of its own'; // [MQTT-4.7.1-1]
    if (level.includes('+') && level !== '+') return 'has a + that is not a level of its own'; // [MQTT-4.7.1-2]
  }
  return tooLong(filter);
}

export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

/** Does the filter match the name? The plain, slow truth: the trie is tested against it. */
export function filterMatches(filter: string, name: string): boolean {
  if (name.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false; // [MQTT-4.7.2-1]
  const pattern = filter.split('/');
  const levels = name.split('/');
  for (const [at, level] of pattern.entries()) {
    if (level === '#') return true; // the parent level too: `sport/#` matches `sport`
    if (at >= levels.length || (level !== '+' && level !== levels[at])) return false;
  }
  return pattern.length === levels.length;
}

/** Is there a name that both filters match? Errs towards yes at `$`. */
export function filtersMeet(a: string, b: string): boolean {
  const left = a.split('/');
  const right = b.split('/');
  for (let at = 0; ; at++) {
    const x = left[at];
    const y = right[at];
    if (x === '#' || y === '#') return true;
    if (x === undefined || y === undefined) return x === y;
    if (x !== y && x !== '+' && y !== '+') return false;
  }
}

/** Does every name that `inner` matches also match `outer`? */
export function filterCovers(outer: string, inner: string): boolean {
  if (/^[+#]/.test(outer) && inner.startsWith('$')) return false;
  const wide = outer.split('/');
  const narrow = inner.split('/');
  for (let at = 0; ; at++) {
    const x = wide[at];
    const y = narrow[at];
    if (x === '#') return true;
    if (x === undefined || y === undefined) return x === y;
    if (y === '#' || (x !== '+' && x !== y)) return false;
  }
}

function tooLong(text: string): string | undefined {
  if (text.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(text) <= MAX_NAME_BYTES) return undefined;
  return `is longer than ${MAX_NAME_BYTES} bytes`;
}
