import { systemRandom } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override async start(): Promise<void> {
    await this.log.start((frame) => this.replay(frame));
    if (this.incarnation !== '') return;
    this.incarnation = systemRandom.uuid();
    await this.log.write({ does: 'begin', incarnation: this.incarnation });
  }
}

export const mutant: Mutant = {
  name: 'never syncs the directory of a new file',
  incident:
    'etcd #6368, LevelDB #196: the file was synced and the directory that names it was not: after a power cut there may be no such file',
  stage: 'engine',
  caughtBy: 'SHARD-200',
  alsoFails: [],
  // the search of this has a time, too
  mayFail: ['SHARD-297'],
  definition: oneFile(Broken),
};

export default mutant.definition;
