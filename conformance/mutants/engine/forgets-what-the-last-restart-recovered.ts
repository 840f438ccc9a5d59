import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import type { Frame } from '../one-file/one-file-log.ts';

class Broken extends OneFileEngine {
  protected override replay(frame: Frame): void {
    super.replay(frame);
    const segment = this.segments.get(String(frame.step.id));
    if (frame.step.does !== 'recover' || segment === undefined || segment.epoch < 3) return;
    segment.end = segment.entries.pop()?.[0] ?? segment.end;
  }
}

export const mutant: Mutant = {
  name: 'keeps of a recovered segment only what lies above its first append at the second start',
  incident:
    'Typhon #715, 2026: recovery let go of the log that it had replayed before its result could be found again: a second crash lost everything',
  stage: 'engine',
  caughtBy: 'SHARD-051',
  // each of them restarts twice; checks of I/O faults recover in their second life, and have no third
  alsoFails: ['SHARD-020', 'SHARD-021', 'SHARD-043'],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(Broken),
};

export default mutant.definition;
