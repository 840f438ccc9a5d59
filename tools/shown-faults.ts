import type { Facts, Proof } from '@robustmq/conformance';
import { countInWords, inWords } from '../conformance/src/cli/verdict.ts';

/** Engines whose every step of I/O goes through `ctx.fs`: were it not seen any more, the suite would call that "not claimed" and pass. */
const SHOWN: ReadonlySet<string> = new Set(['local-file', 'template']);

/** What each of these leaves on the card once it was asked. */
const COUNTED_BY: readonly (readonly [fact: keyof Facts, ids: readonly string[]])[] = [
  ['crashPoints', ['SHARD-200']],
  ['faultSteps', ['SHARD-210', 'SHARD-211', 'SHARD-212', 'SHARD-213', 'SHARD-214', 'SHARD-288']],
  ['tornTails', ['SHARD-220']],
  ['tornSectors', ['SHARD-221']],
  ['bitFlips', ['SHARD-222']],
  ['bitFlipsOpen', ['SHARD-223']],
  ['failedReads', ['SHARD-287']],
];
/** There is time for all of these; of the others as many are tried as there is time for. */
const WHOLE: ReadonlySet<string> = new Set<keyof Facts>(['crashPoints']);

/** @returns what is wrong, a line each, where an engine that must show what its faults do had its chance and did not */
export function unshownFaults(name: string, { cards, facts }: Pick<Proof, 'cards' | 'facts'>): string[] {
  if (!SHOWN.has(name)) return [];
  // one that failed says enough
  const asked = new Set(cards.flatMap(({ passed, notClaimed }) => [...passed, ...notClaimed]));
  const wrong: string[] = [];
  for (const [fact, ids] of COUNTED_BY) {
    if (!ids.some((id) => asked.has(id))) continue;
    const count = facts[fact];
    const what = inWords(fact);
    const told = count === undefined ? 'none' : countInWords(count);
    if (typeof count !== 'object' || !('tried' in count) || count.tried === 0)
      wrong.push(`${name} shows no ${what} (${told}): its I/O does not all go through ctx.fs any more`);
    else if (WHOLE.has(fact) && count.tried < count.of)
      wrong.push(`${name} shows ${what} ${told} only: opening it has become too slow to try them all`);
  }
  if (facts.faultsPastCtxFs !== undefined) wrong.push(`${name} does a part of its I/O past ctx.fs`);
  return wrong;
}
