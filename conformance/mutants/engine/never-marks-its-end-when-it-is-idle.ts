import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  #closing = false;

  override write(...given: Parameters<OneFileLog['write']>): Promise<number> {
    return given[0].does === 'mark' && !this.#closing ? Promise.resolve(0) : super.write(...given);
  }

  override close(): Promise<void> {
    this.#closing = true;
    return super.close();
  }
}

export const mutant: Mutant = {
  name: 'proves an append by the next one only, however long that takes',
  incident:
    'amelie #17, 2026: recovery took a damaged tail for the clean end of the log: on a quiet topic that record is days old',
  stage: 'engine',
  caughtBy: 'SHARD-281',
  alsoFails: [],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
