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
What an engine does not claim in its capabilities is not asked of it; the scorecard counts it as not claimed.

An engine that talks to a service is proven against that service (\`npx @robustmq/conformance <module> --config file --service host:port\`, or \`serviceConformance\` with a test runner):
the checks of I/O faults then refuse, cut, lose and delay its requests, or have them arrive when it has long gone on, a crash cuts its connections and its Meta, and what is about a disk of its own (200, 220 to 223, full disks, failed syncs)
counts as not claimed. [conformance-with-testcontainers.md](conformance-with-testcontainers.md) has the few lines that do it.`;
