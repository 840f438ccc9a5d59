import type { Meta } from '@robustmq/core';
import {
  DEAD_PREFIX,
  OBJECT_PREFIX,
  POINTER_PREFIX,
  pointerCodec,
  SEGMENT_PREFIX,
  segmentCodec,
} from '../../src/meta/rows.ts';
import type { Bucket } from '../support/bucket.ts';

/** Objects that no row leads to, uploads that nobody goes on with, and rows that are for nothing. */
export async function leaksOf(meta: Meta, bucket: Bucket, segments: readonly string[]): Promise<string[]> {
  const leaks: string[] = [];
  const needed = new Set<string>();
  const uids = new Set<string>();
  for (const { key, value } of await rows(meta, SEGMENT_PREFIX)) {
    const { uid, place, stateObject } = segmentCodec.decode(value, key);
    uids.add(uid);
    if (place !== undefined) needed.add(place.object);
    if (stateObject !== undefined) needed.add(stateObject.object);
    if (
      !segments.includes(key.slice(SEGMENT_PREFIX.length)) &&
      segmentCodec.decode(value, key).end >= 0 &&
      place === undefined
    )
      leaks.push(`row ${key}`);
  }
  for (const { key, value } of await rows(meta, POINTER_PREFIX)) {
    if (!uids.has(key.slice(POINTER_PREFIX.length, key.lastIndexOf('/')))) leaks.push(`row ${key}`);
    needed.add(pointerCodec.decode(value, key).object);
  }
  for (const { key } of await rows(meta, OBJECT_PREFIX))
    if (!needed.has(key.slice(OBJECT_PREFIX.length))) leaks.push(`row ${key}`);
  for (const { key } of await rows(meta, DEAD_PREFIX)) leaks.push(`row ${key}`);
  for (const key of bucket.objects.keys()) {
    const object = key.slice(key.indexOf('/') + 1);
    if (object !== 'medium' && !needed.has(object)) leaks.push(`object ${object}`);
  }
  for (const object of needed)
    if (![...bucket.objects.keys()].some((key) => key.endsWith(`/${object}`))) leaks.push(`MISSING object ${object}`);
  // one whose beginning was never answered has no part, costs nothing, and nobody knows its name (decision 053)
  for (const { key, parts } of bucket.uploads.values()) if (parts.size > 0) leaks.push(`upload ${key}`);
  return leaks;
}

async function rows(meta: Meta, prefix: string): Promise<{ readonly key: string; readonly value: Uint8Array }[]> {
  const found: { key: string; value: Uint8Array }[] = [];
  for (let after: string | undefined, more = true; more; after = found.at(-1)?.key) {
    const page = await meta.list({ prefix, ...(after === undefined ? {} : { after }) });
    found.push(...page.entries);
    more = page.more;
  }
  return found;
}
