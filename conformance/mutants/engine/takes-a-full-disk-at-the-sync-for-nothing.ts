import { isDiskFull } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  protected override sync(): Promise<void> {
    return super.sync().catch((error: unknown) => {
      if (!isDiskFull(error)) throw error;
    });
  }
}

export const mutant: Mutant = {
  name: 'takes a sync that found no room for one that succeeded',
  incident:
    'cockroach #64385: ENOSPC may surface at the sync only, and whoever looks for it at writes believes a file that was dropped',
  stage: 'engine',
  caughtBy: 'SHARD-274',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
