import { StorageError } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override write(...given: Parameters<OneFileEngine['write']>): Promise<number> {
    return super.write(...given).catch((cause: unknown) => {
      throw new StorageError('IO_ERROR', 'Not written', { outcome: 'none', cause });
    });
  }
}

export const mutant: Mutant = {
  name: 'says of a write whose answer was lost that it was not applied',
  incident:
    'CockroachDB #10703: a proposal that failed may have been applied; it was said not to be, came again, and the insert was there twice',
  stage: 'engine',
  caughtBy: 'SHARD-213',
  alsoFails: ['SHARD-275'],
  definition: oneFile(Broken),
};

export default mutant.definition;
