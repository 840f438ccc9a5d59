import type { EngineDefinition, SegmentWriter } from '@robustmq/core';
import { oneFile } from '../../mutants/one-file/one-file.ts';
import { OneFileEngine, type Segment } from '../../mutants/one-file/one-file-engine.ts';
import { OneFileWriter } from '../../mutants/one-file/one-file-writer.ts';

/** A recovery gives an end, and whoever wrote the segment goes on behind it. */
export function unfencedEngine(): EngineDefinition {
  return oneFile(Unfenced);
}

class Unfenced extends OneFileEngine {
  protected override fence(): void {}

  protected override writerOf(segment: Segment): OneFileWriter {
    return new Unhindered(segment, this, this.log);
  }

  protected override apply(...[frame, parts]: Parameters<OneFileEngine['apply']>): void {
    const segment = this.segments.get(String(frame.step.id));
    if (segment === undefined || frame.step.does !== 'append') super.apply(frame, parts);
    else unsealed(segment, () => super.apply(frame, parts));
  }
}

class Unhindered extends OneFileWriter {
  override append(...asked: Parameters<SegmentWriter['append']>): ReturnType<SegmentWriter['append']> {
    return unsealed(this.segment, () => super.append(...asked));
  }
}

function unsealed<T>(segment: Segment, work: () => T): T {
  const { sealed } = segment;
  segment.sealed = false;
  try {
    return work();
  } finally {
    segment.sealed = sealed;
  }
}
