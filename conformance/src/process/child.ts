/**
 * Runs an engine under load until it is killed, and tells its parent of each call before it makes it and of each answer when it has it. What it says goes
 * through a pipe synchronously: what was said before the end is read after it.
 */
import { writeSync } from 'node:fs';
import {
  type EngineDefinition,
  encodeBatch,
  isStorageError,
  lockDirectory,
  nodeFileSystem,
  openInstance,
  type SegmentWriter,
  type StorageEngine,
  silentLogger,
  systemClock,
  systemRandom,
  unreadMetrics,
} from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import type { Print, Told } from './history.ts';
import { type MetaReply, RemoteMeta } from './remote-meta.ts';

/** The first message of the parent. The engine's module is the first argument, and is loaded before that. */
export interface ChildStart {
  readonly dir: string;
  readonly config: unknown;
  readonly round: number;
  readonly seed: number;
  /** Segments of earlier rounds whose end is not known. */
  readonly recover: readonly string[];
}

const PIPE = 3;
const LOGS = 5;
const IN_FLIGHT = 8;
/** Left alone by a parent that hangs, it ends. */
const LIFE_MS = 120_000;

// what an engine's module exports
const loading = import(process.argv[2] ?? '') as Promise<{ readonly default: EngineDefinition }>;
const meta = new RemoteMeta((message) => process.send?.(message));
process.once('disconnect', () => process.exit(0));
process.once('message', (start: ChildStart) => {
  process.on('message', (reply: MetaReply) => meta.heard(reply));
  void live(start);
});

async function live(start: ChildStart): Promise<void> {
  systemClock.timer(LIFE_MS, () => process.exit(3));
  const { default: definition } = await loading;
  tell({ tell: 'opening' });
  const { engine } = await openInstance(definition, {
    instance: 'proven',
    dir: start.dir,
    config: start.config,
    fs: nodeFileSystem,
    lock: lockDirectory,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta,
    signal: new AbortController().signal,
  });
  tell({ tell: 'open' });
  const random = new SeededRandom(start.seed);
  const load = new Load(engine, start.round, random);
  const recovered = Promise.all(start.recover.map((id) => load.recover(id)));
  // half of the time new segments are written while the old ones are recovered
  if (random.next() < 0.5) await recovered;
  await Promise.all([recovered, ...Array.from({ length: LOGS }, (_, log) => load.write(log))]);
}

class Load {
  readonly #engine: StorageEngine;
  readonly #round: number;
  readonly #random: SeededRandom;
  #epochs = 0;
  #batches = 0;

  constructor(engine: StorageEngine, round: number, random: SeededRandom) {
    this.#engine = engine;
    this.#round = round;
    this.#random = random;
  }

  async recover(id: string): Promise<void> {
    tell({ tell: 'recover', id });
    try {
      const { end } = await this.#engine.recover(id, { epoch: this.#round * 100_000 + 2 + this.#epochs++ });
      tell({ tell: 'ended', id, end });
    } catch (error) {
      if (!isStorageError(error, 'SEGMENT_UNKNOWN', 'SEGMENT_LOST')) throw error;
      tell({ tell: 'gone', id });
    }
  }

  /** One segment after the other, until it is killed. */
  async write(log: number): Promise<void> {
    for (let generation = 0; ; generation++) {
      const id = `r${this.#round}-${log}-${generation}`;
      const base = log * 1000 + generation;
      tell({ tell: 'create', id });
      const writer = await this.#engine.create(id, {
        base,
        epoch: this.#round * 100_000 + 1,
        config: {},
        state: Buffer.from(id),
      });
      tell({ tell: 'created', id });
      const flights = await this.#fill(id, writer, base);
      const fate = this.#random.next();
      if (fate < 0.6) tell({ tell: 'ended', id, end: (await writer.seal()).end });
      else if (fate < 0.85) await this.recover(id);
      await Promise.all(flights);
      await writer.close();
    }
  }

  /** @returns appends that may still be in flight */
  async #fill(id: string, writer: SegmentWriter, from: number): Promise<readonly Promise<void>[]> {
    let flights: Promise<void>[] = [];
    let base = from;
    let failed = false;
    for (let left = 5 + Math.floor(this.#random.next() * 60); left > 0 && !failed; left--) {
      const { batches, prints, bytes, next } = this.#make(base);
      for (let wait = writer.ready(bytes); wait !== undefined; wait = writer.ready(bytes)) await wait;
      const at = base;
      tell({ tell: 'call', id, base: at, prints });
      const flight = writer.append(batches, { base: at }).then(
        (appended) => tell({ tell: 'acknowledged', id, base: at, next: appended.next }),
        (error: unknown) => {
          failed = true;
          if (!isStorageError(error)) throw error;
          tell({ tell: 'failed', id, base: at, outcome: error.outcome, code: error.code });
        },
      );
      flights.push(flight);
      base = next;
      if (flights.length >= IN_FLIGHT) {
        await Promise.all(flights.slice(0, IN_FLIGHT / 2));
        flights = flights.slice(IN_FLIGHT / 2);
      }
    }
    return flights;
  }

  #make(base: number): { batches: Uint8Array[]; prints: Print[]; bytes: number; next: number } {
    const batches: Uint8Array[] = [];
    const prints: Print[] = [];
    let next = base;
    for (let left = this.#random.next() < 0.7 ? 1 : 4; left > 0; left--) {
      const records = 1 + Math.floor(this.#random.next() * 3);
      const name = `${this.#round}/${this.#batches++}/`;
      const size = Math.floor(this.#random.next() ** 6 * 30_000);
      const made = encodeBatch(
        Array.from({ length: records }, (_, i) => ({
          key: null,
          value: Buffer.from(`${name}${i}`.padEnd(size, '.')),
          timestamp: this.#batches,
        })),
        { baseOffset: next },
      );
      batches.push(made);
      prints.push({ crc: Buffer.from(made.buffer, made.byteOffset, made.length).readUInt32BE(17), records });
      next += records;
    }
    return { batches, prints, bytes: batches.reduce((sum, { length }) => sum + length, 0), next };
  }
}

function tell(told: Told): void {
  const line = Buffer.from(`${JSON.stringify(told)}\n`);
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(PIPE, line, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}
