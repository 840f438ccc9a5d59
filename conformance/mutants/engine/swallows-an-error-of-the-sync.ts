import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  protected override sync(): Promise<void> {
    return super.sync().catch(() => super.sync());
  }
}

export const mutant: Mutant = {
  name: 'swallows an EIO of a sync, and the next one succeeds',
  incident:
    'fsyncgate, 2018: PostgreSQL tried again after a failed fsync, and the kernel reported success for pages that it had thrown away',
  stage: 'engine',
  caughtBy: 'SHARD-214',
  alsoFails: ['SHARD-274'],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
