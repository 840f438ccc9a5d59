import type { Proof } from './prove.ts';
import type { Rates } from './rates.ts';
import { type Failure, nothingRan, type Verdict } from './verdict.ts';

/** The card for people. */
export function formatCard(proof: Proof, verdict: Verdict): string {
  const { subject, seed, contract, suite, cards, skipped } = proof;
  const { definition } = subject;
  const { placement, append, maxBatchBytes } = definition.capabilities;
  const rows: (readonly [string, string])[] = [
    [
      'passed',
      `${verdict.passed.length} (${cards.map(({ stage, passed }) => `${stage} ${passed.length}`).join(', ')})`,
    ],
    ['failed', countAndIds(verdict.failures.map(({ id, stage }) => `${stage} ${id}`))],
    ['not claimed', countAndIds(verdict.notClaimed)],
    ...(skipped.length === 0 ? [] : [['skipped', countAndIds(skipped)] as const]),
    ['durability', `${verdict.durability.claimed} claimed; shown: ${verdict.durability.shown}`],
    [
      'claims',
      `placement ${placement}, ${append ? 'append and ingest' : 'ingest only'}, batches up to ${maxBatchBytes} bytes`,
    ],
    ...verdict.facts,
    ...(proof.rates === undefined ? [] : ratesRows(proof.rates)),
    ['versions', `engine ${definition.version}, contract ${contract}, suite ${suite}, Node ${process.version}`],
    ['seed', `${seed}`],
    ['took', `${proof.seconds.toFixed(1)} s`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const failures = verdict.failures.map((failure) => `${formatFailure(failure)}\n`);
  return [
    ...failures,
    `${definition.name} ${definition.version} (${subject.source})`,
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    '',
    conclusionOf(verdict),
    '',
  ].join('\n');
}

function conclusionOf(verdict: Verdict): string {
  const { failures, leftOut } = verdict;
  if (nothingRan(verdict)) return 'Nothing ran: the engine claims none of the checks that were asked for.';
  if (failures.some(({ level }) => level === 'MUST')) return 'A MUST failed: do not trust this engine with data.';
  if (leftOut.length === 0) return 'All MUST passed.';
  return `All MUST of this run passed. It is a part of the suite: ${leftOut.length} checks were left out, so nothing is proven.`;
}

export function formatFailure(failure: Failure): string {
  return [
    `FAILED ${failure.stage} ${failure.id} ${failure.level} ${failure.promise}`,
    `  why   ${failure.why}`,
    `  seen  ${failure.seen.replaceAll('\n', '\n        ')}`,
    ...failure.at.map((line, i) => `  ${i === 0 ? 'at  ' : '    '}  ${line}`),
    `  run   ${failure.run}`,
  ].join('\n');
}

export function ratesRows(rates: Rates): (readonly [string, string])[] {
  if (rates.problem !== undefined) return [['rates', `could not be measured: ${rates.problem}`]];
  const rows = rates.append.map(
    ({ inFlight, perSecond, rawPerSecond }) =>
      [
        `append, ${inFlight} in flight`,
        `${whole(perSecond)}/s of ${rates.recordBytes} bytes; the disk alone, write and fdatasync of ${inFlight}: ${whole(rawPerSecond)}/s; ratio ${(perSecond / rawPerSecond).toFixed(2)}`,
      ] as const,
  );
  if (rates.append.length === 0) return [['rates', 'n/a: it takes whole segments only']];
  const { read } = rates;
  if (read === undefined) return rows;
  const { mibPerSecond, rawMibPerSecond } = read;
  return [
    ...rows,
    [
      'read in order',
      `${whole(mibPerSecond)} MiB/s; the file alone ${whole(rawMibPerSecond)} MiB/s; ratio ${(mibPerSecond / rawMibPerSecond).toFixed(2)}`,
    ],
  ];
}

function countAndIds(ids: readonly string[]): string {
  return ids.length === 0 ? '0' : `${ids.length} (${ids.join(', ')})`;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
