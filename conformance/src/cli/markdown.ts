import { ratesRows } from './card.ts';
import type { Proof } from './prove.ts';
import { nothingRan, type Verdict } from './verdict.ts';

/** A badge and a table, for a README or the summary of a CI run. */
export function formatMarkdown(proof: Proof, verdict: Verdict): string {
  const { definition } = proof.subject;
  const failed = verdict.failures.length;
  const { leftOut } = verdict;
  const { counted, color } = badgeOf(verdict);
  const label = `RobustMQ conformance ${proof.contract}`;
  const badge = `![${label}: ${counted}](https://img.shields.io/badge/${[label, counted, color].map(badgeText).join('-')})`;
  const rows: (readonly [string, string])[] = [
    ['engine', `${definition.name} ${definition.version}`],
    ['passed', String(verdict.passed.length)],
    ['failed', failed === 0 ? '0' : verdict.failures.map(({ id, promise }) => `${id} ${promise}`).join('<br>')],
    [
      'not claimed',
      verdict.notClaimed.length === 0 ? '0' : `${verdict.notClaimed.length}: ${verdict.notClaimed.join(', ')}`,
    ],
    ...(leftOut.length === 0
      ? []
      : [['left out', `${leftOut.length}: this is a part of the suite, nothing is proven by it`] as const]),
    ['durability claimed', verdict.durability.claimed],
    ['durability shown', verdict.durability.shown],
    ...verdict.facts,
    ...(proof.rates === undefined ? [] : ratesRows(proof.rates)),
    ['contract', `${proof.contract} (suite ${proof.suite}, seed ${proof.seed})`],
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${value.replaceAll('|', '\\|').replaceAll('\n', ' ')} |`);
  return [badge, '', '| | |', '| --- | --- |', ...table, ''].join('\n');
}

/** Green is for the whole suite. */
function badgeOf(verdict: Verdict): { readonly counted: string; readonly color: string } {
  const { passed, failures, leftOut } = verdict;
  if (nothingRan(verdict)) return { counted: 'nothing ran', color: 'lightgrey' };
  if (failures.length > 0) {
    const must = failures.some(({ level }) => level === 'MUST');
    return { counted: `${failures.length} failed`, color: must ? 'red' : 'yellow' };
  }
  if (leftOut.length === 0) return { counted: `${passed.length} passed`, color: 'brightgreen' };
  return { counted: `partial, ${passed.length} passed, ${leftOut.length} left out`, color: 'lightgrey' };
}

function badgeText(text: string): string {
  return encodeURIComponent(text.replaceAll('-', '--').replaceAll('_', '__'));
}
