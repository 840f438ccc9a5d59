import { type Meta, type Random, StorageError } from '@robustmq/core';

const KEY = 'cluster/id';

/** The cluster's id: made once, by whoever asks first. */
export async function clusterIdOf(meta: Meta, random: Random): Promise<string> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const known = await meta.get(KEY);
    if (known !== undefined) return Buffer.from(known.value).toString();
    const value = Buffer.from(random.uuid());
    const result = await meta.commit({
      id: random.uuid(),
      guards: [{ key: KEY, revision: 0 }],
      puts: [{ key: KEY, value }],
    });
    if (result.ok) return value.toString();
  }
  throw new StorageError('META_UNAVAILABLE', 'the cluster id could neither be read nor written', { where: KEY });
}
