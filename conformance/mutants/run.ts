import { checks, runScorecard } from '@robustmq/conformance';
import { isLong } from '../src/run-check.ts';
import type { FoundMutant } from './all.ts';
import { stageOf } from './mutant.ts';

/**
 * `meant`: the check meant for it. `quick`: that, and all that take no long time. `whole`: all but those that search by
 * chance, which may come upon any fault. `search`: those, too.
 */
export type Scope = 'meant' | 'quick' | 'whole' | 'search';

export interface Verdict {
  readonly file: string;
  readonly caught: boolean;
  /** What the meant check said. */
  readonly message: string;
  /** Failed, and its file does not say so. */
  readonly surprises: readonly string[];
  /** Passed, or was not asked, though its file says that it fails. */
  readonly missed: readonly string[];
  /** By a search: luck, neither wanted nor unwanted. */
  readonly found: readonly string[];
  readonly passed: number;
  readonly seconds: number;
}

/** Random commands and killed processes find what the moment and the seed bring up. */
const SEARCHES: ReadonlySet<string> = new Set(
  checks.filter(({ area }) => area === 'model' || area === 'process').map(({ id }) => id),
);
/** One that hangs is to hang for a short time. */
const TIMEOUT_MS = { meant: 3000, else: 15_000 } as const;

export async function runMutant(mutant: FoundMutant, scope: Scope, seed = 1): Promise<Verdict> {
  const { caughtBy, alsoFails, mayFail = [] } = mutant;
  const declared = new Set([caughtBy, ...alsoFails]);
  const only = checks
    .filter((check) => {
      const { id } = check;
      if (scope === 'meant') return id === caughtBy;
      if (id === caughtBy || scope === 'search') return true;
      return !SEARCHES.has(id) && (scope === 'whole' || !isLong(check));
    })
    .map(({ id }) => id);
  const card = await runScorecard(mutant.definition, stageOf(mutant, mutant.module), {
    only,
    seed,
    timeoutMs: scope === 'meant' ? TIMEOUT_MS.meant : TIMEOUT_MS.else,
  });
  const failed = card.failed.map(({ id }) => id);
  return {
    file: mutant.file,
    caught: failed.includes(caughtBy),
    message: card.failed.find(({ id }) => id === caughtBy)?.error.message ?? '',
    surprises: failed.filter((id) => !declared.has(id) && !mayFail.includes(id) && !SEARCHES.has(id)),
    missed: only.filter((id) => declared.has(id) && !failed.includes(id)),
    found: failed.filter((id) => !declared.has(id) && SEARCHES.has(id)),
    passed: card.passed.length,
    seconds: card.seconds,
  };
}
