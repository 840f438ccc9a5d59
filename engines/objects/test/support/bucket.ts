import type { Clock, Random } from '@robustmq/core';
import {
  type ListedObject,
  type ListOptions,
  MIN_PART_BYTES,
  StoreError,
  type StoreTrouble,
} from '../../src/store/port.ts';

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly uid: string;
  readonly putAt: number;
  /** From when on a LIST shows it, by the monotonic clock. */
  readonly listedFrom: number;
}

interface Upload {
  readonly key: string;
  readonly uid: string;
  readonly parts: Map<number, { readonly etag: string; readonly bytes: Uint8Array }>;
}

export interface BucketOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** How long a LIST may go on without what was put and with what was deleted; 0 by default: not at all. */
  readonly staleListMs?: number;
  readonly minPartBytes?: number;
}

const MAX_KEY_BYTES = 1024;
const MAX_PARTS = 10_000;
const MAX_LISTED = 1000;

/** A bucket in memory, as strict as S3 is. Each method is one instant; what happens on the way there and back is the connection's. */
export class Bucket {
  readonly objects: Map<string, StoredObject> = new Map();
  readonly uploads: Map<string, Upload> = new Map();
  /** Objects that were put in more than one part. */
  inParts = 0;
  /** Keys that were put again with another uid: what no writer of ours may do. */
  readonly overwritten: { readonly key: string; readonly was: string; readonly is: string }[] = [];
  /** What every request is answered with, as long as it is set. */
  trouble: StoreTrouble | undefined;
  /** Most bytes of all objects and parts. */
  limitBytes: number = Number.POSITIVE_INFINITY;
  readonly #options: BucketOptions;
  readonly #deleted = new Map<string, { readonly object: StoredObject; readonly until: number }>();
  #etags = 0;

  constructor(options: BucketOptions) {
    this.#options = options;
  }

  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.objects.values()) sum += bytes.length;
    for (const { parts } of this.uploads.values()) for (const { bytes } of parts.values()) sum += bytes.length;
    return sum;
  }

  put(key: string, bytes: Uint8Array, uid: string): void {
    checkKey(key);
    this.#checkRoom(bytes.length);
    this.#store(key, bytes, uid);
  }

  /** @throws exists */
  create(key: string, bytes: Uint8Array, uid: string): void {
    this.checkAbsent(key);
    this.put(key, bytes, uid);
  }

  /** Behind what is there, however much that is. Without a file: makes one. */
  append(key: string, at: number, bytes: Uint8Array): void {
    const object = this.objects.get(key);
    if (at === 0) this.create(key, bytes, key);
    else if (object === undefined) throw answer('not-found', 'FileNotFoundException', 404);
    else {
      this.#checkRoom(bytes.length);
      this.objects.set(key, { ...object, bytes: Buffer.concat([object.bytes, bytes]) });
    }
  }

  checkAbsent(key: string): void {
    if (this.objects.has(key)) throw answer('exists', 'PreconditionFailed', 412);
  }

  get(key: string): StoredObject {
    const object = this.objects.get(key);
    if (object === undefined) throw answer('not-found', 'NoSuchKey', 404);
    return object;
  }

  getRange(key: string, at: number, bytes: number): Uint8Array {
    const object = this.get(key);
    if (!(at >= 0 && bytes >= 1)) throw answer('refused', 'InvalidArgument', 400);
    if (at >= object.bytes.length) throw answer('truncated', 'InvalidRange', 416);
    if (at + bytes > object.bytes.length) throw answer('truncated', undefined, 206);
    return Buffer.from(object.bytes.subarray(at, at + bytes));
  }

  getTail(key: string, bytes: number): { readonly bytes: Uint8Array; readonly size: number } {
    const object = this.get(key);
    const size = object.bytes.length;
    return { bytes: Buffer.from(object.bytes.subarray(Math.max(0, size - bytes))), size };
  }

  delete(key: string): void {
    const object = this.objects.get(key);
    if (object === undefined) return;
    this.objects.delete(key);
    const lag = this.#lag();
    if (lag > 0) this.#deleted.set(key, { object, until: this.#options.clock.monotonic() + lag });
  }

  list({ prefix, after = '', limit, delimiter }: Pick<ListOptions, 'prefix' | 'after' | 'limit' | 'delimiter'>): {
    readonly objects: readonly ListedObject[];
    readonly prefixes: readonly string[];
    readonly more: boolean;
  } {
    const objects: ListedObject[] = [];
    const prefixes: string[] = [];
    const most = Math.min(limit, MAX_LISTED);
    for (const [key, { bytes, putAt }] of this.#listed(prefix)) {
      if (Buffer.compare(Buffer.from(key), Buffer.from(after)) <= 0) continue;
      const end = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
      const folder = end < 0 || delimiter === undefined ? undefined : key.slice(0, end + delimiter.length);
      if (folder !== undefined && folder === prefixes.at(-1)) continue;
      if (objects.length + prefixes.length === most) return { objects, prefixes, more: true };
      if (folder === undefined) objects.push({ key, bytes: bytes.length, putAt });
      else prefixes.push(folder);
    }
    return { objects, prefixes, more: false };
  }

  beginUpload(key: string, uid: string): string {
    checkKey(key);
    const upload = this.#options.random.uuid();
    this.uploads.set(upload, { key, uid, parts: new Map() });
    return upload;
  }

  putPart(key: string, upload: string, part: number, bytes: Uint8Array): string {
    const { parts } = this.#upload(key, upload);
    if (!Number.isSafeInteger(part) || part < 1 || part > MAX_PARTS) throw answer('refused', 'InvalidArgument', 400);
    this.#checkRoom(bytes.length);
    const etag = `"${++this.#etags}"`;
    parts.set(part, { etag, bytes });
    return etag;
  }

  completeUpload(key: string, upload: string, etags: readonly string[]): void {
    const { parts, uid } = this.#upload(key, upload);
    if (etags.length === 0) throw answer('refused', 'MalformedXML', 400);
    const chosen = etags.map((etag, i) => {
      const part = parts.get(i + 1);
      if (part?.etag !== etag) throw answer('refused', 'InvalidPart', 400);
      return part.bytes;
    });
    const { minPartBytes = MIN_PART_BYTES } = this.#options;
    if (chosen.slice(0, -1).some(({ length }) => length < minPartBytes)) throw answer('refused', 'EntityTooSmall', 400);
    this.uploads.delete(upload);
    if (chosen.length > 1) this.inParts++;
    this.#store(key, Buffer.concat(chosen), uid);
  }

  abortUpload(key: string, upload: string): void {
    if (this.uploads.get(upload)?.key === key) this.uploads.delete(upload);
  }

  #upload(key: string, upload: string): Upload {
    const known = this.uploads.get(upload);
    if (known?.key !== key) throw answer('no-upload', 'NoSuchUpload', 404);
    return known;
  }

  #store(key: string, bytes: Uint8Array, uid: string): void {
    const { clock } = this.#options;
    const before = this.objects.get(key);
    if (before !== undefined && before.uid !== uid) this.overwritten.push({ key, was: before.uid, is: uid });
    this.#deleted.delete(key);
    this.objects.set(key, { bytes, uid, putAt: clock.wall(), listedFrom: clock.monotonic() + this.#lag() });
  }

  /** In the order of UTF-8 bytes, which is not that of JavaScript's strings. */
  #listed(prefix: string): [string, StoredObject][] {
    const now = this.#options.clock.monotonic();
    const shown = [...this.objects].filter(([, { listedFrom }]) => listedFrom <= now);
    for (const [key, { object, until }] of this.#deleted)
      if (until > now) shown.push([key, object]);
      else this.#deleted.delete(key);
    return shown
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  #lag(): number {
    const { staleListMs = 0, random } = this.#options;
    return staleListMs === 0 ? 0 : random.next() * staleListMs;
  }

  #checkRoom(bytes: number): void {
    if (this.bytes + bytes > this.limitBytes) throw answer('full', 'XMinioStorageFull', 507);
  }
}

function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes === 0 || bytes > MAX_KEY_BYTES) throw answer('refused', 'KeyTooLongError', 400);
}

/** What the store answers; it has done nothing then. */
export function answer(trouble: StoreTrouble, code: string | undefined, status: number): StoreError {
  return new StoreError(trouble, `the store answers ${code ?? status}`, { mayBeApplied: false, code, status });
}
