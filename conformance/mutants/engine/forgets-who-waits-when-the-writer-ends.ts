import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine, type Segment } from '../one-file/one-file-engine.ts';
import { OneFileWriter } from '../one-file/one-file-writer.ts';

class BrokenWriter extends OneFileWriter {
  override ready(bytes: number): Promise<void> | undefined {
    const wait = super.ready(bytes);
    return this.failure === undefined ? wait?.catch(() => new Promise<never>(() => {})) : wait;
  }
}

class Broken extends OneFileEngine {
  protected override writerOf(segment: Segment): OneFileWriter {
    return new BrokenWriter(segment, this, this.log);
  }
}

export const mutant: Mutant = {
  name: 'forgets who waits for credit when the writer ends',
  incident:
    'Pulsar #26678: what waited when its ledger was terminated was neither done nor failed, and the topic stood still for good',
  stage: 'engine',
  caughtBy: 'SHARD-272',
  alsoFails: [],
  definition: oneFile(Broken),
};

export default mutant.definition;
