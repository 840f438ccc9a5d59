import type { Mutant } from '../mutant.ts';
import { oneFile } from '../one-file/one-file.ts';
import { OneFileEngine } from '../one-file/one-file-engine.ts';

class Broken extends OneFileEngine {
  protected override fence(id: string, why: string): void {
    for (const each of this.segments.keys()) super.fence(each, `${why} (${id})`);
  }
}

export const mutant: Mutant = {
  name: 'fences all segments of a file with one',
  incident:
    'Kafka before KIP-112: one disk that failed took all partitions of its broker along. A fence for the whole journal does it to a thousand shards',
  stage: 'engine',
  caughtBy: 'SHARD-111',
  // goes on in a new segment while it recovers those of before
  // and each of these goes on beside a segment that was recovered or deleted
  alsoFails: [
    'SHARD-055',
    'SHARD-210',
    'SHARD-211',
    'SHARD-212',
    'SHARD-213',
    'SHARD-214',
    'SHARD-250',
    'SHARD-274',
    'SHARD-287',
    'SHARD-288',
  ],
  definition: oneFile(Broken),
};

export default mutant.definition;
