/**
 * HDFS as a store of objects and of files that grow. A file gets its name when it is whole: it is written into the work folder of this life, closed, and
 * renamed, which a NameNode does or does not, also when two ask. What a failure leaves in the folder is deleted when this process
 * next tidies up, and with the whole folder when its life is over.
 */
import {
  type CallOptions,
  type FileStore,
  type ListedObject,
  type ListOptions,
  type ObjectInfo,
  type PutOptions,
  StoreError,
} from '@robustmq/engine-objects';
import { Paths } from './paths.ts';
import type { FileStatus, FileWrite, WebHdfs } from './webhdfs/client.ts';

/** Says which attempt made a file: an answer that was lost is no stranger's file. */
const UID_ATTRIBUTE = 'user.robust.uid';
/** Directories that are known to be there. */
const MAX_DIRECTORIES = 4096;
const GATHERED_BYTES = 1024 * 1024;
/** Temporary files that are deleted in one go. */
const LEFT_AT_ONCE = 8;

export interface HdfsStoreOptions {
  readonly client: WebHdfs;
  readonly path: string;
  readonly prefix: string;
  readonly replication: number | undefined;
}

interface Upload {
  readonly write: FileWrite;
  /** Sent. */
  bytes: number;
  readonly uid: string;
  /** Parts in the order in which they were given. */
  last: Promise<void>;
  parts: number;
  isWritten: boolean;
  isMarked: boolean;
}

export class HdfsStore implements FileStore {
  readonly where: string;
  readonly #options: HdfsStoreOptions;
  readonly #client: WebHdfs;
  readonly #paths: Paths;
  readonly #directories = new Set<string>();
  /** Clusters whose mark was seen: as long as it is gone nothing is made there anew. */
  readonly #marked = new Set<string>();
  readonly #uploads = new Map<string, Upload>();
  /** Paths in the work folder of which nothing will become. */
  readonly #left = new Set<string>();
  /** Files that HDFS is just asked to close. */
  readonly #closing = new Set<string>();
  #folder: string | undefined;
  #named = 0;
  #hasAttributes = true;

  constructor(options: HdfsStoreOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#paths = new Paths(options.path, options.prefix);
    this.where = `${options.client.where}${options.path}`;
  }

  workIn(folder: string): void {
    this.#folder = folder;
  }

  async put(key: string, body: readonly Uint8Array[], { uid, ifAbsent, signal }: PutOptions): Promise<void> {
    const options = callOptions(signal);
    const temporary = this.#temporary(uid);
    await this.#orLeft(temporary, async () => {
      await this.#create(temporary, key, body, options);
      await this.#mark(temporary, uid, options);
      if (ifAbsent === true) await this.#publish(temporary, key, options);
      else await this.#replace(temporary, key, options);
    });
    this.#seen(key);
  }

  async append(
    key: string,
    at: number,
    body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
    { signal }: CallOptions = {},
  ): Promise<void> {
    const options = callOptions(signal);
    const path = this.#paths.of(key);
    if (at > 0) {
      const bytes = await writeAll(await this.#client.append(path, options), body, options);
      await this.#checkEnd(path, at + bytes, options);
      return;
    }
    const temporary = this.#temporary('file');
    await this.#orLeft(temporary, async () => {
      await this.#create(temporary, key, body, options);
      try {
        await this.#publish(temporary, key, options);
      } catch (error) {
        // nobody else makes a file of this name: another NameNode had renamed it before its answer was lost
        if (!isTrouble(error, 'exists')) throw error;
      }
    });
  }

  async getRange(key: string, at: number, bytes: number, options: CallOptions = {}): Promise<Uint8Array> {
    return await this.#read(this.#paths.of(key), at, bytes, options);
  }

  async getTail(
    key: string,
    bytes: number,
    options: CallOptions = {},
  ): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    const path = this.#paths.of(key);
    const found = await this.#client.status(path, options);
    if (found === undefined) throw new StoreError('not-found', `${path} is not there`, { mayBeApplied: false });
    this.#seen(key);
    const size = found.length;
    const wanted = Math.min(bytes, size);
    if (wanted === 0) return { bytes: new Uint8Array(0), size };
    return { bytes: await this.#read(path, size - wanted, wanted, options), size };
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    const path = this.#paths.of(key);
    const found = await this.#client.status(path, options);
    if (found?.type !== 'FILE') return undefined;
    return { bytes: found.length, uid: this.#hasAttributes ? await this.#uidOf(path, options) : undefined };
  }

  async list({ prefix, after = '', limit, delimiter, ...options }: ListOptions): ReturnType<FileStore['list']> {
    const own = prefix.slice(this.#options.prefix.length);
    const slash = own.indexOf('/');
    if (slash < 0) {
      if (delimiter !== '/') throw new StoreError('refused', 'Objects are listed by cluster', { mayBeApplied: false });
      return await this.#listClusters(prefix, after, limit, options);
    }
    const cluster = own.slice(0, slash);
    const root = `${this.#options.prefix}${cluster}/`;
    const objects: ListedObject[] = [];
    for await (const { name, status } of this.#objectsOf(
      cluster,
      own.slice(slash + 1),
      after.slice(root.length),
      options,
    )) {
      const key = `${root}${name}`;
      if (!key.startsWith(prefix) || compare(key, after) <= 0) continue;
      if (objects.length === limit) return { objects, prefixes: [], more: true };
      objects.push({ key, bytes: status.length, putAt: status.modificationTime });
    }
    return { objects, prefixes: [], more: false };
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    await this.#client.delete(this.#paths.of(key), { ...options, recursive: false });
  }

  get left(): number {
    return this.#left.size;
  }

  async tidyUp(options: CallOptions = {}): Promise<void> {
    for (const path of [...this.#left].slice(0, LEFT_AT_ONCE)) {
      await this.#client.delete(path, { ...options, recursive: false });
      this.#left.delete(path);
    }
  }

  async deleteFolder(folder: string, options: CallOptions = {}): Promise<void> {
    await this.#client.delete(this.#paths.of(folder).replace(/\/$/, ''), { ...options, recursive: true });
  }

  async beginUpload(key: string, { uid, signal }: PutOptions): Promise<string> {
    const path = this.#temporary(uid);
    const options = callOptions(signal);
    return await this.#orLeft(path, async () => {
      await this.#within(path, key, options);
      const write = await this.#client.create(path, this.#options.replication, options);
      this.#uploads.set(path, {
        write,
        bytes: 0,
        uid,
        last: Promise.resolve(),
        parts: 0,
        isWritten: false,
        isMarked: false,
      });
      return path;
    });
  }

  async putPart(
    key: string,
    upload: string,
    part: number,
    body: readonly Uint8Array[],
    options: CallOptions = {},
  ): Promise<string> {
    const found = this.#upload(key, upload);
    if (part !== found.parts + 1) throw noUpload(key, `part ${part} comes behind part ${found.parts}`);
    found.parts = part;
    const writing = found.last.then(async () => {
      for (const chunk of body) {
        await found.write.write(chunk, options);
        found.bytes += chunk.length;
      }
    });
    found.last = writing;
    writing.catch(() => this.#uploads.delete(upload)); // no later part can make good for it
    await writing;
    return String(part);
  }

  async completeUpload(
    key: string,
    upload: string,
    parts: readonly string[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    const options = callOptions(signal);
    const found = this.#upload(key, upload);
    if (parts.length !== found.parts) throw noUpload(key, `it has ${found.parts} parts, not ${parts.length}`);
    if (!found.isWritten) {
      try {
        await found.last;
        await found.write.end(options);
        await this.#checkEnd(upload, found.bytes, options);
        found.isWritten = true;
      } catch (error) {
        this.#uploads.delete(upload);
        throw this.#withoutDirectory(upload, error);
      }
    }
    if (!found.isMarked) {
      await this.#mark(upload, found.uid, options);
      found.isMarked = true;
    }
    try {
      await this.#publish(upload, key, options);
    } catch (error) {
      // the answer to an earlier rename was lost
      const isOurs = isTrouble(error, 'exists') && (await this.head(key, options))?.uid === found.uid;
      if (!isOurs) throw error;
    }
    this.#uploads.delete(upload);
  }

  async abortUpload(_key: string, upload: string, options: CallOptions = {}): Promise<void> {
    this.#uploads.get(upload)?.write.destroy();
    this.#uploads.delete(upload);
    await this.#client.delete(upload, { ...options, recursive: false });
  }

  close(): void {
    for (const { write } of this.#uploads.values()) write.destroy();
    this.#uploads.clear();
    this.#client.close();
  }

  async #read(path: string, at: number, bytes: number, options: CallOptions): Promise<Uint8Array> {
    try {
      return await this.#client.read(path, at, bytes, options);
    } catch (error) {
      if (!(error instanceof StoreError) || error.trouble !== 'unclosed') throw error;
      const refusal = await this.#askToClose(path, options);
      if (refusal === undefined) throw error;
      const { trouble, message, mayBeApplied, code, status } = error;
      throw new StoreError(trouble, `${message}; asked to close it: ${refusal.message}`, {
        mayBeApplied,
        code,
        status,
        cause: refusal,
      });
    }
  }

  /**
   * A file that is not closed when all DataNodes of its last block are killed can't be read, not even what was acknowledged long before (HDFS-17863), until the NameNode has taken it
   * from its writer. By itself it does so after 20 minutes; when another writer comes, a minute after the last one was heard of. WebHDFS has
   * no `recoverLease`: an append of nothing does it. Of what recovers, the second try succeeds where the first meets a generation stamp that the NameNode has given twice.
   * @returns why it can't be asked, if it is anything but that it is not time yet
   */
  async #askToClose(path: string, options: CallOptions): Promise<StoreError | undefined> {
    if (this.#closing.has(path)) return undefined;
    this.#closing.add(path);
    try {
      await writeAll(await this.#client.append(path, options), [], options);
      return undefined;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // as long as the file is open it is refused: the next read asks again
      return error.trouble === 'conflict' ? undefined : error;
    } finally {
      this.#closing.delete(path);
    }
  }

  #upload(key: string, upload: string): Upload {
    const found = this.#uploads.get(upload);
    if (found === undefined) throw noUpload(key, 'the connection that it was written over has ended');
    return found;
  }

  /** A name that no other try has. */
  #temporary(uid: string): string {
    const folder = this.#folder ?? `${this.#options.prefix}none/tmp/`;
    return this.#paths.of(`${folder}${uid}-${this.#named++}`);
  }

  async #orLeft<T>(path: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      this.#left.add(path);
      throw error;
    }
  }

  async #create(
    path: string,
    key: string,
    body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
    options: CallOptions,
  ): Promise<void> {
    await this.#within(path, key, options);
    try {
      const write = await this.#client.create(path, this.#options.replication, options);
      await this.#checkEnd(path, await writeAll(write, body, options), options);
    } catch (error) {
      throw onlyTemporary(this.#withoutDirectory(path, error));
    }
  }

  /** The directory of a file that was just made is gone: next time it is made again, if it may be. */
  #withoutDirectory(path: string, error: unknown): unknown {
    if (!isTrouble(error, 'not-found')) return error;
    this.#directories.delete(directoryOf(path));
    return new StoreError('conflict', `The directory of ${path} is gone`, { mayBeApplied: false, cause: error });
  }

  #seen(key: string): void {
    if (this.#paths.markOf(key) === this.#paths.of(key)) this.#marked.add(this.#paths.markOf(key));
  }

  /** All that was sent is there, and no more. @throws conflict when something on the way, or somebody else, has cut or written to it */
  async #checkEnd(path: string, bytes: number, options: CallOptions): Promise<void> {
    const found = await this.#client.status(path, options);
    if (found?.length === bytes) return;
    throw new StoreError('conflict', `${path} has ${found?.length ?? 'no'} bytes, not ${bytes}`, {
      mayBeApplied: true,
    });
  }

  async #mark(path: string, uid: string, options: CallOptions): Promise<void> {
    if (!this.#hasAttributes) return;
    try {
      await this.#client.setAttribute(path, UID_ATTRIBUTE, uid, options);
    } catch (error) {
      // a cluster may have none: then a lost answer is told as one
      if (!saysNoAttributes(error)) throw onlyTemporary(error);
      this.#hasAttributes = false;
    }
  }

  async #uidOf(path: string, options: CallOptions): Promise<string | undefined> {
    try {
      return await this.#client.attribute(path, UID_ATTRIBUTE, options);
    } catch (error) {
      if (isTrouble(error, 'refused') || isTrouble(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** @throws exists */
  async #publish(from: string, key: string, options: CallOptions): Promise<void> {
    const to = this.#paths.of(key);
    await this.#within(to, key, options);
    if (await this.#client.rename(from, to, options)) return;
    if ((await this.#client.status(to, options)) !== undefined)
      throw new StoreError('exists', `${to} is there`, { mayBeApplied: false });
    // somebody has tidied up the directory
    this.#directories.delete(directoryOf(to));
    throw new StoreError('conflict', `${from} could not be renamed to ${to}`, { mayBeApplied: false });
  }

  async #replace(from: string, key: string, options: CallOptions): Promise<void> {
    const to = this.#paths.of(key);
    await this.#within(to, key, options);
    try {
      await this.#client.replace(from, to, options);
    } catch (error) {
      this.#directories.delete(directoryOf(to));
      throw isTrouble(error, 'not-found')
        ? new StoreError('conflict', `${from} could not be renamed to ${to}`, { mayBeApplied: false, cause: error })
        : error;
    }
  }

  /** @throws gone when the mark of the cluster is: a tree made anew beside it would be taken for another cluster's at the next start */
  async #within(path: string, key: string, options: CallOptions): Promise<void> {
    const directory = directoryOf(path);
    if (this.#directories.has(directory)) return;
    const mark = this.#paths.markOf(key);
    if (this.#marked.has(mark) && (await this.#client.status(mark, options)) === undefined)
      throw new StoreError('gone', `${mark}, which was there, is not`, { mayBeApplied: false });
    await this.#client.makeDirectory(directory, options);
    if (this.#directories.size >= MAX_DIRECTORIES) this.#directories.clear();
    this.#directories.add(directory);
  }

  async #listClusters(
    prefix: string,
    after: string,
    limit: number,
    options: CallOptions,
  ): ReturnType<FileStore['list']> {
    const { directory, letters } = this.#paths.clusters;
    const above = prefix.slice(0, prefix.length - letters.length);
    const prefixes = (await this.#client.list(directory, options))
      .filter(({ type, pathSuffix }) => type === 'DIRECTORY' && pathSuffix.startsWith(letters))
      .map(({ pathSuffix }) => `${above}${pathSuffix}/`)
      .filter((folder) => compare(folder, after) > 0)
      .toSorted(compare);
    return { objects: [], prefixes: prefixes.slice(0, limit), more: prefixes.length > limit };
  }

  /** In the order of their names; directories in which all come before `after`, or none begins with `prefix`, are not looked into. */
  async *#objectsOf(
    cluster: string,
    prefix: string,
    after: string,
    options: CallOptions,
  ): AsyncGenerator<{ readonly name: string; readonly status: FileStatus }> {
    const root = this.#paths.rootOf(cluster);
    for (const entry of sorted(await this.#client.list(root, options), ({ pathSuffix }) => pathSuffix)) {
      if (entry.type === 'FILE') {
        yield { name: entry.pathSuffix, status: entry };
        continue;
      }
      const directory = entry.pathSuffix;
      const beginning = Paths.beginningIn(directory);
      if (beginning === undefined || beginning < after.slice(0, beginning.length)) continue;
      const common = Math.min(beginning.length, prefix.length);
      if (beginning.slice(0, common) !== prefix.slice(0, common)) continue;
      const files = (await this.#client.list(`${root}/${directory}`, options))
        .filter(({ type }) => type === 'FILE')
        .map((status) => ({ name: Paths.nameOf(directory, status.pathSuffix), status }));
      yield* sorted(files, ({ name }) => name);
    }
  }
}

function callOptions(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}

/** @returns how many bytes it was */
async function writeAll(
  write: FileWrite,
  body: readonly Uint8Array[] | AsyncIterable<Uint8Array>,
  options: CallOptions,
): Promise<number> {
  let bytes = 0;
  try {
    for await (const chunk of gathered(body)) {
      await write.write(chunk, options);
      bytes += chunk.length;
    }
    await write.end(options);
    return bytes;
  } catch (error) {
    write.destroy();
    throw error;
  }
}

/** Small chunks are sent together: each write is a wait. */
async function* gathered(body: readonly Uint8Array[] | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(GATHERED_BYTES);
  let used = 0;
  for await (const chunk of body) {
    if (used + chunk.length > buffer.length) {
      yield buffer.subarray(0, used);
      used = 0;
    }
    if (chunk.length >= buffer.length) {
      yield chunk;
      continue;
    }
    buffer.set(chunk, used);
    used += chunk.length;
  }
  if (used > 0) yield buffer.subarray(0, used);
}

function saysNoAttributes(error: unknown): boolean {
  if (!(error instanceof StoreError) || error.trouble !== 'refused') return false;
  return error.code === 'UnsupportedOperationException' || /XAttr operation has been rejected/.test(error.message);
}

/** Whatever becomes of it, it has no name yet. */
function onlyTemporary(error: unknown): unknown {
  if (!(error instanceof StoreError) || !error.mayBeApplied) return error;
  const { trouble, message, code, status } = error;
  return new StoreError(trouble, message, { mayBeApplied: false, code, status, cause: error });
}

function isTrouble(error: unknown, trouble: StoreError['trouble']): boolean {
  return error instanceof StoreError && error.trouble === trouble;
}

function noUpload(key: string, why: string): StoreError {
  return new StoreError('no-upload', `${key}: ${why}`, { mayBeApplied: false });
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function sorted<T>(entries: readonly T[], nameOf: (entry: T) => string): T[] {
  return entries.toSorted((a, b) => compare(nameOf(a), nameOf(b)));
}

/** In the order of UTF-8 bytes. */
function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
