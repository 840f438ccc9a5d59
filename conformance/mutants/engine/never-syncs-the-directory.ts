import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override async start(): Promise<void> {
    await this.log.start((frame) => this.replay(frame));
    if (this.incarnation !== '') return;
    this.incarnation = 'without-a-name';
    await this.log.write({ does: 'begin', incarnation: this.incarnation });
  }
}

export const mutant: Mutant = {
  name: 'never syncs the directory of a new file',
  incident: 'LevelDB, ZooKeeper and others synced the file and not its name: after a power cut the whole file was gone',
  stage: 'engine',
  caughtBy: 'SHARD-200',
  alsoFails: [],
  definition: oneFile(Broken),
};

export default mutant.definition;
