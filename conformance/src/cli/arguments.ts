import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { didYouMean } from '@robustmq/core/config';
import { promises } from '../promises.ts';
import type { ServiceAddress } from '../service-world.ts';

export interface Arguments {
  /** Package or path of the engine. */
  readonly module: string;
  readonly config: string | undefined;
  readonly service: ServiceAddress | undefined;
  readonly only: readonly string[] | undefined;
  readonly seed: number;
  readonly quick: boolean;
  /** Processes that share the checks. */
  readonly jobs: number;
  readonly output: 'text' | 'json' | 'markdown';
}

/** The command line was not understood. */
export class UsageError extends Error {}

export const USAGE = `Usage: robust-conformance <module|path> [options]

Proves a storage engine for RobustMQ and prints its scorecard. The engine is a package (robust-engine-x, or x for short) or a path
(./src/index.ts, or a folder with a package.json); its default export is the engine.

  --config FILE   settings of the instance, as YAML or JSON; what is missing has the defaults of the engine's schema
  --service HOST:PORT
                  of an engine that talks to a service, which is there: the suite loses, cuts and delays its requests. In the values of
                  the file of --config {host} and {port} stand for the address, {world} for the name of a medium
  --only ID       only this check; again, or with commas, for more
  --seed N        of everything random (default 1); a failure prints its seed
  --quick         without the checks that take long
  --jobs N        processes that share the checks: as many as there are cores, 4 at most, unless given; 1 with a service
  --json          the card as JSON on standard output
  --markdown      a badge and a table for a README
  --help, --version

Everything is written below the system's directory for temporary files: TMPDIR=/mnt/disk chooses the disk.
Exit code: 0 all MUST that ran passed, 1 a MUST failed, 2 the engine, its settings or the command line are wrong, the engine ended the process,
or nothing ran since it claims none of the checks of --only.
`;

/** @throws UsageError */
export function parseArguments(words: readonly string[]): Arguments | 'help' | 'version' {
  const { values, positionals } = parse(words);
  if (values.help === true) return 'help';
  if (values.version === true) return 'version';
  const [module, ...more] = positionals;
  if (module === undefined) throw new UsageError('which engine? Name its package or its path');
  if (more.length > 0) throw new UsageError(`one engine at a time, and ${positionals.length} were given`);
  if (values.json === true && values.markdown === true) throw new UsageError('--json or --markdown, not both');
  return {
    module,
    config: values.config,
    service: values.service === undefined ? undefined : addressOf(values.service),
    only: values.only === undefined ? undefined : idsOf(values.only),
    seed: seedOf(values.seed ?? '1'),
    quick: values.quick === true,
    jobs: values.jobs === undefined ? defaultJobs() : jobsOf(values.jobs),
    output: values.json === true ? 'json' : values.markdown === true ? 'markdown' : 'text',
  };
}

interface Parsed {
  readonly values: {
    readonly config?: string;
    readonly service?: string;
    readonly only?: string[];
    readonly seed?: string;
    readonly quick?: boolean;
    readonly jobs?: string;
    readonly json?: boolean;
    readonly markdown?: boolean;
    readonly help?: boolean;
    readonly version?: boolean;
  };
  readonly positionals: string[];
}

function parse(words: readonly string[]): Parsed {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        service: { type: 'string' },
        only: { type: 'string', multiple: true },
        seed: { type: 'string' },
        quick: { type: 'boolean' },
        jobs: { type: 'string' },
        json: { type: 'boolean' },
        markdown: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function idsOf(texts: readonly string[]): string[] {
  const known = promises.map(({ id }) => id);
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => {
      const id = /^\d+$/.test(text.trim()) ? `SHARD-${text.trim().padStart(3, '0')}` : text.trim().toUpperCase();
      if (known.includes(id)) return id;
      throw new UsageError([`there is no check ${JSON.stringify(text)}`, didYouMean(id, known)].join('. ').trim());
    });
}

function addressOf(text: string): ServiceAddress {
  const [, host = '', digits = ''] = /^\[?([^\s/[\]]+)\]?:(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host !== '' && port >= 1 && port <= 65535) return { host, port };
  throw new UsageError(`--service ${JSON.stringify(text)} is not an address such as 127.0.0.1:9000`);
}

/** More would wait for each other's disk. */
const MOST_BY_DEFAULT = 4;
const MOST_JOBS = 64;

export function defaultJobs(): number {
  return Math.min(MOST_BY_DEFAULT, availableParallelism());
}

function jobsOf(text: string): number {
  const jobs = Number(text);
  if (Number.isInteger(jobs) && jobs >= 1 && jobs <= MOST_JOBS) return jobs;
  throw new UsageError(`--jobs ${JSON.stringify(text)} is not a whole number from 1 to ${MOST_JOBS}`);
}

function seedOf(text: string): number {
  const seed = Number(text);
  if (Number.isSafeInteger(seed) && seed >= 0 && text.trim() !== '') return seed;
  throw new UsageError(`--seed ${JSON.stringify(text)} is not a whole number from 0 on`);
}
