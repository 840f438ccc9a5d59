/** What a node that was killed has left in Meta: where each segment lay at that moment, whatever anybody saw before. */
import { join } from 'node:path';
import { openLevelMeta } from '@robustmq/meta';
import {
  chainPrefix,
  copyPrefix,
  headCodec,
  headKey,
  isUnsealed,
  type SegmentRow,
  segmentCodec,
  tiles,
} from '../../core/src/shard/chain.ts';
import type { Stretch } from '../crash/history.ts';

export interface ShardLeft {
  /** No offset from here on had been given out. */
  readonly reserved: number;
  /** But for those that were replaced already. */
  readonly rows: readonly SegmentRow[];
  /** Copies of segments that were on their way. */
  readonly copies: number;
}

/** Of the one shard of each of these topics. The node is not running. */
export async function shardsLeft(data: string, topicIds: readonly string[]): Promise<ShardLeft[]> {
  const meta = await openLevelMeta({ dir: join(data, 'meta') });
  try {
    const left: ShardLeft[] = [];
    for (const id of topicIds) {
      const head = await meta.get(headKey(id, 0));
      const chain = await meta.list({ prefix: chainPrefix(id, 0) });
      const copies = await meta.list({ prefix: copyPrefix(id, 0) });
      left.push({
        reserved: head === undefined ? 0 : headCodec.decode(head.value, head.key).reserved,
        rows: tiles(chain.entries.map(({ key, value }) => segmentCodec.decode(value, key))),
        copies: copies.entries.length,
      });
    }
    return left;
  } finally {
    await meta.close();
  }
}

/** What lay on instances that keep nothing past their process. */
export function goneStretches({ rows, reserved }: ShardLeft, keepsNothing: (instance: string) => boolean): Stretch[] {
  const bySeq = rows.toSorted((a, b) => a.seq - b.seq);
  const sealed = rows.filter((row) => !isUnsealed(row));
  const sealedEnd = sealed.reduce((end, row) => Math.max(end, row.end), 0);
  const unsealed = bySeq.filter(isUnsealed);
  const stretches: Stretch[] = sealed
    .filter((row) => row.state === 'SEALED' && keepsNothing(row.instance))
    .map(({ base, end }) => ({ base, end }));
  for (const [index, row] of unsealed.entries()) {
    if (!keepsNothing(row.instance)) continue;
    const before = unsealed[index - 1];
    // where one that is only prepared begins is known to the process alone: behind all that is sealed, or behind one that is open
    const isBehindSafe = row.base < 0 && before !== undefined && !keepsNothing(before.instance);
    const base = row.base >= 0 ? row.base : Math.max(sealedEnd, before?.base ?? 0);
    const next = unsealed.slice(index + 1).find((other) => other.base >= 0);
    if (!isBehindSafe) stretches.push({ base, end: next?.base ?? reserved });
  }
  return stretches;
}
