import type { IngestResult } from '@robustmq/core';
import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  override async ingest(...[id, options, batches]: Parameters<OneFileEngine['ingest']>): Promise<IngestResult> {
    const { base, end, epoch } = options;
    const pointer = { does: 'publish', id, base, end, epoch, uid: '', bytes: 0, crc: 0, entries: [] };
    const early = async function* (this: Broken): AsyncGenerator<Uint8Array> {
      let published = false;
      try {
        for await (const chunk of batches) {
          yield chunk;
          if (!published) await this.write(pointer);
          published = true;
        }
      } finally {
        if (published) await this.write({ does: 'delete', id });
      }
    };
    return await super.ingest(id, options, this.segments.has(id) ? batches : early.call(this));
  }
}

export const mutant: Mutant = {
  name: 'publishes the pointer before the data',
  incident:
    'Tansu moves watermark.json, then writes the batch: a crash in between is a hole below the high watermark, for good',
  stage: 'engine',
  caughtBy: 'SHARD-061',
  // each of these stops an ingest between the two
  alsoFails: ['SHARD-210', 'SHARD-212', 'SHARD-213', 'SHARD-214', 'SHARD-274', 'SHARD-288'],
  // the search of these has a time, and finds it unless the machine is too slow
  mayFail: ['SHARD-200', 'SHARD-297'],
  definition: oneFile(Broken),
};

export default mutant.definition;
