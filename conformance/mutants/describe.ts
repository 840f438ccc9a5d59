import type { FoundMutant } from './all.ts';

/** docs/mutants.md. A test keeps the file in step; `node tools/mutants.ts --docs` writes it. */
export function describeMutants(mutants: readonly FoundMutant[]): string {
  const rows = (stage: string): string[] =>
    mutants
      .filter((mutant) => mutant.stage === stage)
      .map(({ name, incident, caughtBy, alsoFails, file }) => {
        const link = `[${name}](../conformance/mutants/${file}.ts)`;
        return `| ${link} | ${incident} | ${caughtBy} | ${alsoFails.length === 0 ? '' : alsoFails.join(', ')} |`;
      });
  const table = (stage: string): string => [...HEADER, ...rows(stage)].join('\n');
  return `${HEAD}\n\n${mutants.length} mutants.\n\n## An engine that ...\n\n${table('engine')}\n\n## A shard that ...\n\n${table('shard')}\n`;
}

const HEADER = ['| has one thing wrong | as in | meant for it | fails also |', '| --- | --- | --- | --- |'];

const HEAD = `# Mutants: engines that are broken on purpose

This page is generated: \`node tools/mutants.ts --docs\`. A suite is worth what it catches. Each of these has one thing wrong; the check that is
meant for it must fail, the ones named beside it fail for the same reason, and every other MUST of its stage passes: a mutant that only crashes would
prove nothing. A broken engine is asked the checks of engines only, a broken shard those of shards only. \`npm run mutants\` runs them all, \`npm run mutants -- --only NAME\` those whose name or file has NAME in it.

Checks that search by chance (random commands against an oracle, kill -9 under load) may come upon any of them. They are asked with
\`--search\`, and what they find is counted, not demanded.`;
