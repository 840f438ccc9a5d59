/** What Meta remembers about the manifests of an instance: `manifests/<instance>`. */
import { type RowCodec, rowCodec } from '../meta/row.ts';

export interface ManifestRow {
  /** Every number that was ever used is below this. */
  readonly next: number;
  /** The newest ones that are known to be in the store, in order. */
  readonly durable: readonly DurableManifest[];
  /** Documents below this, but for those of `durable`, have been deleted. */
  readonly cleared: number;
}

export interface DurableManifest {
  readonly number: number;
  /** Documents before it that belong to it. */
  readonly pages: number;
  readonly writtenAt: number;
  /** Of what it lists, to tell whether the next one would say anything new. */
  readonly digest: string;
}

export const NEW_MANIFESTS: ManifestRow = { next: 1, durable: [], cleared: 1 };

export const manifestRowCodec: RowCodec<ManifestRow> = rowCodec('A', 1, ({ next, durable, cleared }) => {
  if (!Number.isSafeInteger(next) || !Number.isSafeInteger(cleared) || !Array.isArray(durable))
    throw new Error('a field is missing');
  return { next, durable, cleared } as ManifestRow; // every field was looked at
});

export function manifestKey(instance: string): string {
  return `manifests/${instance}`;
}
