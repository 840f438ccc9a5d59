import type { SegmentOffsets } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import type { Segment } from '../one-file/one-file-engine.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileWriter } from '../one-file/one-file-writer.ts';

class Eager extends OneFileWriter {
  override offsets(): SegmentOffsets {
    const now = super.offsets();
    return { ...now, committed: now.end };
  }
}

class Broken extends OneFileEngine {
  protected override writerOf(segment: Segment): OneFileWriter {
    return new Eager(segment, this, this.log);
  }
}

export const mutant: Mutant = {
  name: 'says committed of what is only on its way',
  incident:
    'KAFKA-14704: a former leader took over the new high watermark before it cut its log, and showed records that were never committed',
  stage: 'engine',
  caughtBy: 'SHARD-031',
  // looks at committed while the step is held
  alsoFails: ['SHARD-216'],
  definition: oneFile(Broken),
};

export default mutant.definition;
