import { describe, expect, it } from 'vitest';
import { MEMORY } from '../../mutants/mutant.ts';
import type { Facts } from '../../src/check.ts';
import { formatCard } from '../../src/cli/card.ts';
import { formatMarkdown } from '../../src/cli/markdown.ts';
import type { Proof } from '../../src/cli/prove.ts';
import { judge } from '../../src/cli/verdict.ts';
import { checks } from '../../src/promises.ts';

function cardWith(facts: Facts, passed: readonly string[] = []): string {
  const proof = proofOf(facts, passed);
  return formatCard(proof, judge(proof));
}

function proofOf(facts: Facts, passed: readonly string[]): Proof {
  const subject = {
    definition: MEMORY,
    module: './engine',
    source: 'engine.ts',
    url: undefined,
    configFile: undefined,
    config: {},
  };
  return {
    subject,
    seed: 1,
    contract: 0.1,
    suite: '0.1.0',
    cards: [{ stage: 'engine', passed, failed: [], notClaimed: [], seconds: 1, facts }],
    facts,
    skipped: [],
    rates: undefined,
    seconds: 1,
  };
}

describe('the card', () => {
  it('is green when the whole suite passed, and only then', () => {
    const all = checks.map(({ id }) => id);
    const whole = proofOf({}, all);
    expect(cardWith({}, all)).toContain('\nAll MUST passed.\n');
    expect(formatMarkdown(whole, judge(whole))).toContain(`-${all.length}%20passed-brightgreen)`);
    const part = proofOf({}, all.slice(1));
    expect(cardWith({}, all.slice(1))).toContain('a part of the suite: 1 checks were left out');
    expect(formatMarkdown(part, judge(part))).toContain('1%20left%20out-lightgrey)');
  });

  it('says how to try the places that there was no time for', () => {
    const card = cardWith({
      tornTails: { tried: 300, of: 1136 },
      bitFlips: { tried: 7, of: 7 },
      bitFlipsOpen: { tried: 6, of: 7 },
    });
    expect(card).toMatch(
      /torn tails +300 of 1136 \(all of them: ROBUST_CONFORMANCE_EFFORT=1000 and --only SHARD-220\)/,
    );
    expect(card).toMatch(/bit flips +7 of 7$/m);
    expect(card).toMatch(/bit flips open +6 of 7 \(.* --only SHARD-223\)/);
  });

  it('says it when an engine changes files that nobody could fail', () => {
    const card = cardWith({ faultSteps: { tried: 4, of: 4 }, faultsPastCtxFs: 'not tried: there are some' });
    expect(card).toMatch(/fault steps +4 of 4$/m);
    expect(card).toMatch(/faults past ctx fs +not tried: there are some$/m);
  });
});
