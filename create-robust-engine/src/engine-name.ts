import { CreateError } from './create-error.ts';

/** Names that a server has engines of its own for: it would refuse the package. */
const TAKEN = new Set(['memory', 'local-file', 'journal', 's3', 'hdfs']);

/** `x` from `x` or `robust-engine-x`. @throws CreateError unless it can be an engine's name, and a package's */
export function engineName(given: string): string {
  const name = given.replace(/^robust-engine-/, '');
  if (!/^[a-z][a-z0-9-]{0,48}[a-z0-9]$/.test(name) || name.includes('--'))
    throw new CreateError(
      `${JSON.stringify(given)} can not be the name of an engine`,
      'Use 2 to 50 lower case letters, digits and -, beginning with a letter: my-engine',
    );
  if (TAKEN.has(name))
    throw new CreateError(`${name} is the name of an engine of RobustMQ's own`, 'Choose another one');
  return name;
}
