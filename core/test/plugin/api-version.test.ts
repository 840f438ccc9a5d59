import { expect, test } from 'vitest';
import { isServed } from '../../src/plugin/api-version.ts';

test.each([
  { asked: 0.1, served: 0.1, is: true },
  { asked: 0.1, served: 0.2, is: false },
  { asked: 0.2, served: 0.1, is: false },
  { asked: 0.9, served: 1, is: false },
  { asked: 1, served: 1, is: true },
  { asked: 1, served: 1.3, is: true },
  { asked: 1.4, served: 1.3, is: false },
  { asked: 1.3, served: 2, is: false },
  { asked: Number.NaN, served: 1, is: false },
])('a plug-in for $asked under $served: $is', ({ asked, served, is }) => expect(isServed(asked, served)).toBe(is));
