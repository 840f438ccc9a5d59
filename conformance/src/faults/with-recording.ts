import { type EngineTrial, type Facts, NotClaimed, type Workshop } from '../check.ts';
import { type Recording, record, type Stage } from './recording.ts';
import { withScratch } from './scratch.ts';

export interface Recorded {
  readonly workshop: Workshop;
  readonly recording: Recording;
  /** For what is made of it; goes afterwards. */
  readonly dir: string;
}

/**
 * Records a play of the engine, and looks at it.
 * @param none what is noted when nobody could rebuild its disk
 * @throws NotClaimed then
 */
export function withRecording<T>(
  { harness, note }: EngineTrial,
  play: (stage: Stage) => Promise<void>,
  none: Facts,
  use: (recorded: Recorded) => Promise<T>,
): Promise<T> {
  return withScratch(async (dir) => {
    // behind a link the data is the service's
    const workshop = harness.link === undefined ? harness.workshop : undefined;
    const recording = workshop === undefined ? undefined : await record(workshop, dir, play);
    if (workshop === undefined || recording === undefined) {
      note(none);
      throw new NotClaimed('its I/O does not all go through ctx.fs');
    }
    return await use({ workshop, recording, dir });
  });
}
