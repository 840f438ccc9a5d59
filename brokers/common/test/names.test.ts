import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  filterCovers,
  filterMatches,
  filtersMeet,
  MAX_LEVELS,
  SubscriptionTrie,
  topicFilterProblem,
  topicNameProblem,
} from '../src/index.ts';

const level = fc.constantFrom('', 'a', 'b', 'ab', '$SYS', 'ü');
const name = fc
  .array(level, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '');
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 0, maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all || levels.length === 0 ? ['#'] : [])].join('/'))
  .filter((text) => text !== '');

describe('topic filters', () => {
  // the examples of section 4.7 of the specification
  test.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['#', 'sport', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/uptime', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/', true],
    ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
    ['accounts', 'ACCOUNTS', false],
  ])('[MQTT-4.7] %s and %s: %s', (pattern, text, matches) => {
    expect(filterMatches(pattern, text)).toBe(matches);
    const trie = new SubscriptionTrie<string, number>();
    trie.set(pattern, 'me', 1);
    expect(trie.has(text)).toBe(matches);
  });

  test.each([
    ['', 'is empty'],
    ['a#', '#'],
    ['a/#/b', '#'],
    ['a+/b', '+'],
    ['a\0', 'U+0000'],
    ['a/'.repeat(MAX_LEVELS + 1), 'levels'],
    ['x'.repeat(65_536), 'longer'],
  ])('[MQTT-4.7.1, 4.7.3] the filter %j is refused', (text, why) => {
    expect(topicFilterProblem(text)).toContain(why);
  });

  test.each([['a/+'], ['#'], [''], ['\0'], ['ü'.repeat(40_000)]])(
    '[MQTT-3.3.2-2, 4.7.3] the name %j is refused',
    (text) => {
      expect(topicNameProblem(text)).toBeDefined();
    },
  );

  test.each([['a'], ['/'], ['//'], ['a b/ü'], ['$SYS/x']])('the name %j is fine', (text) => {
    expect(topicNameProblem(text)).toBeUndefined();
    expect(topicFilterProblem(text)).toBeUndefined();
  });
});

describe('the subscription trie', () => {
  test('finds what the plain matcher finds, through any history of subscribing and unsubscribing', () => {
    const step = fc.record({ filter, subscriber: fc.integer({ min: 0, max: 3 }), add: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.array(name, { maxLength: 10 }), (steps, names) => {
        const trie = new SubscriptionTrie<number, string>();
        const model = new Map<string, { filter: string; subscriber: number }>();
        for (const { filter: pattern, subscriber, add } of steps) {
          const key = `${subscriber} ${pattern}`;
          const known = model.has(key) ? pattern : undefined;
          if (add) {
            expect(trie.set(pattern, subscriber, pattern)).toBe(known);
            model.set(key, { filter: pattern, subscriber });
          } else {
            expect(trie.delete(pattern, subscriber)).toBe(known);
            model.delete(key);
          }
        }
        expect(trie.size).toBe(model.size);
        for (const text of names) {
          const found: string[] = [];
          trie.match(text, (subscriber, pattern) => found.push(`${subscriber} ${pattern}`));
          const wanted = [...model].filter(([, entry]) => filterMatches(entry.filter, text)).map(([key]) => key);
          expect(found.sort()).toEqual(wanted.sort());
          expect(trie.has(text)).toBe(wanted.length > 0);
        }
      }),
    );
  });

  test('meeting and covering agree with matching', () => {
    fc.assert(
      fc.property(filter, filter, name, (a, b, text) => {
        const both = filterMatches(a, text) && filterMatches(b, text);
        if (both) expect(filtersMeet(a, b)).toBe(true);
        if (filterCovers(a, b) && filterMatches(b, text)) expect(filterMatches(a, text)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
