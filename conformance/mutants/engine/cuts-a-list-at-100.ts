import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override async list(options: Parameters<OneFileEngine['list']>[0]): Promise<string[]> {
    return (await super.list(options)).slice(0, 100);
  }
}

export const mutant: Mutant = {
  name: 'cuts a list at 100 ids whatever it was asked for',
  incident:
    'RustFS #7362: a listing of versions ended after 100, whatever it was asked for, and did not say that there were more',
  stage: 'engine',
  caughtBy: 'SHARD-112',
  alsoFails: [],
  definition: oneFile(Broken),
};

export default mutant.definition;
