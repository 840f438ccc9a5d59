import type { Proof } from '@robustmq/conformance';

/** Engines whose every step of I/O goes through `ctx.fs`: were it not seen any more, the suite would call that "not claimed" and pass. */
const SHOWN: ReadonlySet<string> = new Set(['local-file', 'template']);

/** @returns what is wrong, where an engine that must show its crash points had its chance and did not */
export function unshownCrashPoints(name: string, { cards, facts }: Pick<Proof, 'cards' | 'facts'>): string | undefined {
  const asked = cards.some(({ passed, notClaimed }) => [...passed, ...notClaimed].includes('SHARD-200'));
  if (!asked || !SHOWN.has(name) || typeof facts.crashPoints === 'object') return undefined;
  return `${name} shows no crash points (${facts.crashPoints ?? 'none'}): its I/O does not all go through ctx.fs any more`;
}
