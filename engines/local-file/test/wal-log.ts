import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { nodeFileSystem } from '@robustmq/core';
import { createSyncFileSystem } from '../../../core/src/fs/node-sync.ts';
import { ENTRY_HEADER_BYTES, entryBytes, HeaderWriter, KIND } from '../src/wal/frames.ts';
import { GroupWriter } from '../src/wal/group-writer.ts';
import { LogReads } from '../src/wal/log-reads.ts';
import { type ReplayEnd, replay } from '../src/wal/replay.ts';
import { Ring } from '../src/wal/ring.ts';
import { surveyWal } from '../src/wal/survey.ts';
import { walFileName } from '../src/wal/wal-files.ts';
import { batch } from './harness.ts';

export interface TestEntry {
  readonly number: number;
  readonly offset: number;
  readonly payloadBytes: number;
}

/** Writes groups of appends straight into files, as the worker would. */
export class TestLog {
  readonly dir: string;
  readonly #ring = new Ring(1024 * 1024);
  readonly #header = new HeaderWriter();
  readonly #writer: GroupWriter;
  readonly #generation: number;
  position: number;

  constructor(dir: string, options: { generation: number; position: number; fileBytes?: number }) {
    this.dir = dir;
    this.#generation = options.generation;
    this.position = options.position;
    this.#writer = new GroupWriter(createSyncFileSystem(), {
      ring: this.#ring.memory,
      control: this.#ring.control,
      fs: nodeFileSystem.worker,
      dir,
      fileBytes: options.fileBytes ?? 1024 * 1024,
      generation: options.generation,
      position: options.position,
    });
  }

  use(name: number, sequence: number, zeroedBytes = 0): void {
    this.#writer.grant({ path: join(this.dir, walFileName(name)), sequence, zeroedBytes });
  }

  /** Gives back where the group lies in its file, and how many bytes it has with its header. */
  group(entries: readonly TestEntry[]): { readonly offset: number; readonly bytes: number } {
    const from = this.position;
    for (const entry of entries) {
      const body = batch(entry.offset, entry.payloadBytes);
      const size = entryBytes(body.length);
      this.#header.entry(
        KIND.append,
        1,
        this.#generation,
        this.position,
        entry.number,
        1,
        entry.offset,
        1,
        body.length,
        crc32c(body.subarray(0, 21)),
      );
      this.#ring.write(this.#header.entryBytes);
      this.#ring.write(body);
      this.#ring.skip(size - ENTRY_HEADER_BYTES - body.length);
      this.position += size;
    }
    const bytes = this.position - from;
    this.#writer.makeRoom(bytes);
    const offset = this.#writer.offset;
    this.#writer.write(bytes);
    this.#ring.consumed(0);
    return { offset, bytes: 64 + bytes };
  }

  close(): void {
    this.#writer.close();
  }
}

export interface Replayed extends ReplayEnd {
  readonly entries: TestEntry[];
  readonly damaged: TestEntry[];
  readonly lost: { readonly from: number; readonly to: number }[];
}

export async function replayed(dir: string, from = { position: 0, sequence: 0, offset: 0 }): Promise<Replayed> {
  const entries: TestEntry[] = [];
  const damaged: TestEntry[] = [];
  const lost: { from: number; to: number }[] = [];
  const { replay: files } = await surveyWal(nodeFileSystem, dir, from.sequence);
  const end = await replay(new LogReads(nodeFileSystem), files, from, 1024 * 1024, {
    entry: ({ number, offset, bodyBytes }) => entries.push({ number, offset, payloadBytes: bodyBytes - 61 }),
    damaged: ({ number, offset, bodyBytes }) => damaged.push({ number, offset, payloadBytes: bodyBytes - 61 }),
    lost: (a, b) => lost.push({ from: a, to: b }),
  });
  return { ...end, entries, damaged, lost };
}
