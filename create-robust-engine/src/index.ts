/** `npm create robust-engine my-engine`: a package with an engine that passes the conformance suite as it comes. It asks nothing. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CreateError } from './create-error.ts';
import { engineName } from './engine-name.ts';
import { tarballsIn } from './tarballs.ts';
import { writeEngine } from './write-engine.ts';

const USAGE = `Usage: create-robust-engine <name> [options]

Writes the package robust-engine-<name> into a folder of that name: an engine that stores in one append-only file and passes the conformance
suite, with tests, CI and a README. A user's config says "use: <name>".

  --dir FOLDER       another folder, which is new or empty
  --packages FOLDER  takes @robustmq/core and @robustmq/conformance from tarballs in there instead of the registry
`;

/** @returns the exit code: 0, or 2 with one line that says what is wrong. */
export function main(words: readonly string[], cwd: string): number {
  try {
    const { values, positionals } = parse(words);
    if (values.help === true) {
      console.log(USAGE);
      return 0;
    }
    const [given, ...more] = positionals;
    if (given === undefined || more.length > 0)
      throw new CreateError(
        given === undefined ? 'the engine needs a name' : `one name, and ${positionals.length} were given`,
        USAGE,
      );
    const name = engineName(given);
    const folder = resolve(cwd, values.dir ?? `robust-engine-${name}`);
    const tarballs = values.packages === undefined ? undefined : tarballsIn(resolve(cwd, values.packages));
    writeEngine(name, folder, tarballs);
    console.log(nextSteps(name, values.dir ?? `robust-engine-${name}`));
    return 0;
  } catch (error) {
    if (!(error instanceof CreateError)) throw error;
    console.error(`create-robust-engine: ${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}`);
    return 2;
  }
}

function parse(words: readonly string[]): {
  readonly values: { readonly dir?: string; readonly packages?: string; readonly help?: boolean };
  readonly positionals: string[];
} {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        dir: { type: 'string' },
        packages: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new CreateError(error instanceof Error ? error.message : String(error), USAGE);
  }
}

function nextSteps(name: string, folder: string): string {
  return `robust-engine-${name} is in ${folder}. Next:

  cd ${folder}
  npm install
  npm run conformance

Then read src/index.ts.`;
}
