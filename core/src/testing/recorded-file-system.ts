import type { FileHandle, FileSystem } from '../world.ts';
import type { RecordedCall, RecordedLog } from './recorded-log.ts';

/** Does what it is asked, and writes down in `log` whatever may change the disk. Its worker half writes into the same log. */
export function recordedFileSystem(under: FileSystem, log: RecordedLog): FileSystem {
  const record = async <T>(call: RecordedCall, work: () => Promise<T>): Promise<T> => {
    const op = log.begin(call);
    return await ended(log, op, work());
  };
  return {
    open: async (path, flags) => {
      const op = log.begin({ does: 'open', path, flags });
      return new RecordedFile(await ended(log, op, under.open(path, flags)), op, log);
    },
    rename: (from, to) => record({ does: 'rename', from, to }, () => under.rename(from, to)),
    unlink: (path) => record({ does: 'unlink', path }, () => under.unlink(path)),
    readdir: (path) => under.readdir(path),
    mkdir: (path) => record({ does: 'mkdir', path }, () => under.mkdir(path)),
    syncDirectory: (path) => record({ does: 'syncDirectory', path }, () => under.syncDirectory(path)),
    freeBytes: (path) => under.freeBytes(path),
    worker: {
      module: new URL(import.meta.url.endsWith('.ts') ? './recorded-sync.ts' : './recorded-sync.js', import.meta.url)
        .href,
      options: { under: under.worker, log: log.shared },
    },
  };
}

class RecordedFile implements FileHandle {
  readonly #under: FileHandle;
  readonly #file: number;
  readonly #log: RecordedLog;

  constructor(under: FileHandle, file: number, log: RecordedLog) {
    this.#under = under;
    this.#file = file;
    this.#log = log;
  }

  read(into: Uint8Array, intoOffset: number, length: number, position: number): Promise<number> {
    return this.#under.read(into, intoOffset, length, position);
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    const call = { does: 'write', file: this.#file, position, length: bytes.length, synced: false } as const;
    return ended(this.#log, this.#log.begin(call, [bytes]), this.#under.write(bytes, position));
  }

  datasync(): Promise<void> {
    const op = this.#log.begin({ does: 'datasync', file: this.#file });
    return ended(this.#log, op, this.#under.datasync());
  }

  truncate(length: number): Promise<void> {
    const op = this.#log.begin({ does: 'truncate', file: this.#file, length });
    return ended(this.#log, op, this.#under.truncate(length));
  }

  size(): Promise<number> {
    return this.#under.size();
  }

  close(): Promise<void> {
    return this.#under.close();
  }
}

async function ended<T>(log: RecordedLog, op: number, work: Promise<T>): Promise<T> {
  try {
    const result = await work;
    log.end(op, false);
    return result;
  } catch (error) {
    log.end(op, true);
    throw error;
  }
}
