import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import type { Frame } from '../one-file/one-file-log.ts';

class Broken extends OneFileEngine {
  override async recover(...[id, options]: Parameters<OneFileEngine['recover']>): Promise<{ readonly end: number }> {
    const segment = this.find(id);
    if (!segment.sealed && this.restarted) segment.end = segment.entries.pop()?.[0] ?? segment.end;
    return await super.recover(id, options);
  }
  private restarted = false;
  protected override replay(frame: Frame): void {
    this.restarted = true;
    super.replay(frame);
  }
}

export const mutant: Mutant = {
  name: 'drops the last append of an open segment at a restart',
  incident:
    'Lance #6532: a restart left out what was in the log and not flushed yet: acknowledged rows were gone, without a word',
  stage: 'engine',
  caughtBy: 'SHARD-020',
  // each of them recovers what was acknowledged in an earlier life
  // and each of these recovers after a restart
  alsoFails: [
    'SHARD-011',
    'SHARD-021',
    'SHARD-051',
    'SHARD-055',
    'SHARD-112',
    'SHARD-127',
    'SHARD-210',
    'SHARD-211',
    'SHARD-212',
    'SHARD-213',
    'SHARD-214',
    'SHARD-251',
    'SHARD-274',
    'SHARD-288',
  ],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297', 'SHARD-220', 'SHARD-221'],
  definition: oneFile(Broken),
};

export default mutant.definition;
