import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CreateError } from './create-error.ts';

/** The packages that an engine is written against, by name: the file of each. @throws CreateError */
export function tarballsIn(folder: string): ReadonlyMap<string, string> {
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch {
    throw new CreateError(`there is no folder ${folder}`);
  }
  return new Map(
    ['core', 'conformance'].map((name) => {
      const file = files
        .filter((each) => new RegExp(`^robustmq-${name}-\\d.*\\.tgz$`).test(each))
        .sort()
        .at(-1);
      if (file === undefined)
        throw new CreateError(
          `there is no tarball of @robustmq/${name} in ${folder}`,
          'npm run pack in the repository of RobustMQ makes them',
        );
      return [`@robustmq/${name}`, join(folder, file)];
    }),
  );
}
