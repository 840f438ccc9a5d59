import { promises } from './promises.ts';

const SUBJECTS = {
  engine: 'an engine',
  log: 'an engine and a shard',
  shard: 'a shard',
} as const;

/** docs/conformance.md. A test keeps the file in step; `node tools/conformance.ts --docs` writes it. */
export function describePromises(): string {
  const areas = [...new Set(promises.map(({ area }) => area))];
  const sections = areas.map((area) => {
    const rows = promises
      .filter((promise) => promise.area === area)
      .map(({ id, level, promise, subject, why }) => `| ${id} | ${level} ${promise} | ${SUBJECTS[subject]} | ${why} |`);
    return [`## ${area}`, '', '| id | promise | of | why |', '| --- | --- | --- | --- |', ...rows].join('\n');
  });
  return `${HEAD}\n\n${sections.join('\n\n')}\n`;
}

const HEAD = `# What an engine promises, and what is checked

This page is generated from the suite (\`@robustmq/conformance\`): \`node tools/conformance.ts --docs\`. An id stays with its promise for
ever. Promises marked "an engine and a shard" are checked twice: of an engine's segments directly, and of core's shard above them.
What an engine does not claim in its capabilities is not asked of it; the scorecard counts it as not claimed.`;
