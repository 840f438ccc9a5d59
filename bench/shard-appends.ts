import { encodeBatch, type Shard } from '@robustmq/core';
import type { Send } from './closed-loop.ts';

/** Appends of one batch each, by turns to all of the shards. A client's batch is its own and used again once it has settled. */
export function shardAppends(
  shards: readonly Shard[],
  batch: { readonly records: number; readonly valueBytes: number },
): Send {
  const record = { timestamp: 1_700_000_000_000, key: null, value: Buffer.alloc(batch.valueBytes, 'x') };
  const template = encodeBatch(Array.from({ length: batch.records }, () => record));
  const batches = new Map<number, Uint8Array[]>();
  let turn = 0;
  return (client, done) => {
    const bytes = batches.get(client) ?? [Uint8Array.from(template)];
    batches.set(client, bytes);
    const shard = shards[turn++ % shards.length];
    if (shard === undefined) return done(new Error('no shard'));
    const append = () => void shard.append(bytes).then(() => done(), done);
    const credit = shard.ready(template.length);
    if (credit === undefined) append();
    else void credit.then(append, done);
  };
}
