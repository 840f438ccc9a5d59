import type { Mutant } from '../mutant.ts';
import { override } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { type Frame, OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  constructor(...[file, ctx]: ConstructorParameters<typeof OneFileLog>) {
    let starting = true;
    const read: typeof file.read = (...what) => (starting ? file.read(...what).catch(() => 0) : file.read(...what));
    super(override(file, { read }), ctx);
    this.#started = () => {
      starting = false;
    };
  }

  readonly #started: () => void;

  override async start(replay: (frame: Frame) => void): Promise<void> {
    await super.start(replay);
    this.#started();
  }
}

export const mutant: Mutant = {
  name: 'takes a failed read at the start for the end of the file',
  incident:
    'BookKeeper #2908: an entry log that could not be read said "no such entry", and recovery closed the ledger there',
  stage: 'engine',
  caughtBy: 'SHARD-287',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
