import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  protected override async syncFile(isNew: boolean): Promise<void> {
    if (isNew) await super.syncFile(isNew);
  }
}

export const mutant: Mutant = {
  name: 'takes what a killed process has left for durable',
  incident:
    'Ours, 2026: local-file named the files of its log in a checkpoint without asking whether a killed process had synced their names, and after a power cut would not start. The engine that authors begin with did the same with its only file',
  stage: 'engine',
  caughtBy: 'SHARD-297',
  alsoFails: [],
  definition: oneFile(Broken),
};

export default mutant.definition;
