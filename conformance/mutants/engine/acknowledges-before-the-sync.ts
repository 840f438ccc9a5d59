import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';
import { OneFileLog } from '../one-file/one-file-log.ts';

class Broken extends OneFileLog {
  protected override async sync(): Promise<void> {
    void super.sync().catch(() => {});
  }
}

export const mutant: Mutant = {
  name: 'acknowledges before the sync',
  incident:
    'nats-server #7564 (Jepsen, 2025): JetStream acknowledged what it would sync within two minutes. kill -9 does not show it, the next power cut does',
  stage: 'engine',
  caughtBy: 'SHARD-216',
  // the sync that failed was not waited for
  alsoFails: ['SHARD-214', 'SHARD-274'],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(OneFileEngine, Broken),
};

export default mutant.definition;
