import { ratesRows } from './card.ts';
import type { Proof } from './prove.ts';
import type { Verdict } from './verdict.ts';

/** A badge and a table, for a README or the summary of a CI run. */
export function formatMarkdown(proof: Proof, verdict: Verdict): string {
  const { definition } = proof.subject;
  const failed = verdict.failures.length;
  const counted = failed === 0 ? `${verdict.passed.length} passed` : `${failed} failed`;
  const label = `RobustMQ conformance ${proof.contract}`;
  const color = failed === 0 ? 'brightgreen' : verdict.allMustPassed ? 'yellow' : 'red';
  const badge = `![${label}: ${counted}](https://img.shields.io/badge/${[label, counted, color].map(badgeText).join('-')})`;
  const rows: (readonly [string, string])[] = [
    ['engine', `${definition.name} ${definition.version}`],
    ['passed', String(verdict.passed.length)],
    ['failed', failed === 0 ? '0' : verdict.failures.map(({ id, promise }) => `${id} ${promise}`).join('<br>')],
    [
      'not claimed',
      verdict.notClaimed.length === 0 ? '0' : `${verdict.notClaimed.length}: ${verdict.notClaimed.join(', ')}`,
    ],
    ['durability claimed', verdict.durability.claimed],
    ['durability shown', verdict.durability.shown],
    ...verdict.facts,
    ...(proof.rates === undefined ? [] : ratesRows(proof.rates)),
    ['contract', `${proof.contract} (suite ${proof.suite}, seed ${proof.seed})`],
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${value.replaceAll('|', '\\|').replaceAll('\n', ' ')} |`);
  return [badge, '', '| | |', '| --- | --- |', ...table, ''].join('\n');
}

function badgeText(text: string): string {
  return encodeURIComponent(text.replaceAll('-', '--').replaceAll('_', '__'));
}
