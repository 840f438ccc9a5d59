import { isStorageError } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override async ingest(...asked: Parameters<OneFileEngine['ingest']>): ReturnType<OneFileEngine['ingest']> {
    try {
      return await super.ingest(...asked);
    } catch (error) {
      if (!isStorageError(error)) for (const id of this.segments.keys()) this.fence(id, 'A copy has failed');
      throw error;
    }
  }
}

export const mutant: Mutant = {
  name: 'fails all writers with one copy that breaks off',
  incident:
    'KAFKA-15391: a flush met a topic that was just being deleted, and for this one error the directory went offline, with every other topic in it',
  stage: 'engine',
  caughtBy: 'SHARD-250',
  alsoFails: [],
  definition: oneFile(Broken),
};

export default mutant.definition;
