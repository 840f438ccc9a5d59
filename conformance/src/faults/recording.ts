import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeFileSystem, type StorageEngine } from '@robustmq/core';
import {
  type DiskImage,
  FaultPlan,
  faultyFileSystem,
  RecordedDisk,
  type RecordedEvent,
  RecordedLog,
  recordedFileSystem,
} from '@robustmq/core/testing';
import type { Workshop } from '../check.ts';
import { type Act, Actor } from './acts.ts';
import { RecordedMeta } from './recorded-meta.ts';
import { everything } from './survivors.ts';

/** A run of an engine, with all that it did to its files and all that was asked of it in one order. */
export interface Recording {
  readonly root: string;
  readonly events: readonly RecordedEvent[];
  readonly acts: readonly Act[];
  readonly meta: RecordedMeta;
}

/** The engine's lives, one after the other, on one disk. */
export interface Stage {
  readonly actor: Actor;
  /** Opens the next instance; the one before has been closed, or is abandoned as by kill -9. */
  start(): Promise<StorageEngine>;
  close(): Promise<void>;
  abandon(): Promise<void>;
}

/** @returns nothing when the engine does not do all its I/O through `ctx.fs`: nobody could rebuild its disk */
export async function record(
  workshop: Workshop,
  dir: string,
  play: (stage: Stage) => Promise<void>,
): Promise<Recording | undefined> {
  const recording = await recordAll(workshop, dir, play);
  const disk = endOf(recording);
  return disk.files.size > 0 && (await isWhatLiesThere(recording, disk)) ? recording : undefined;
}

/** @returns true when its directory holds something after `play` that did not go through `ctx.fs` */
export async function goesPastTheSeam(
  workshop: Workshop,
  dir: string,
  play: (stage: Stage) => Promise<void>,
): Promise<boolean> {
  const recording = await recordAll(workshop, dir, play);
  return !(await isWhatLiesThere(recording, endOf(recording)));
}

async function recordAll(workshop: Workshop, dir: string, play: (stage: Stage) => Promise<void>): Promise<Recording> {
  const log = new RecordedLog();
  const meta = new RecordedMeta(log);
  const root = join(dir, 'instance');
  const recorded = recordedFileSystem(nodeFileSystem, log);
  const abandoned: { close(): Promise<void> }[] = [];
  let alive: { close(): Promise<void>; abandon(): Promise<void> } | undefined;
  const actor = new Actor(log);
  const stage: Stage = {
    actor,
    start: async () => {
      const plan = new FaultPlan();
      const { instance, unlock } = await workshop.open({ dir: root, meta, fs: faultyFileSystem(recorded, plan) });
      alive = {
        close: async () => {
          await instance.close();
          await unlock();
        },
        abandon: async () => {
          await plan.cut();
          abandoned.push(instance);
          await unlock();
        },
      };
      actor.use(instance.engine);
      return instance.engine;
    },
    close: async () => {
      const closing = alive;
      alive = undefined;
      await closing?.close();
    },
    abandon: async () => {
      await alive?.abandon();
      alive = undefined;
    },
  };
  try {
    await play(stage);
  } finally {
    await stage.close().catch(() => {});
    // only to let go of threads and descriptors
    for (const instance of abandoned) await instance.close().catch(() => {});
  }
  return { root, events: log.events(), acts: actor.acts, meta };
}

function endOf({ root, events }: Recording): DiskImage {
  const disk = new RecordedDisk(root);
  for (const event of events) disk.apply(event);
  return disk.left(everything.survives);
}

/** What lies in the directory is what the recording makes, but for the lock. */
async function isWhatLiesThere({ root }: Recording, { files }: DiskImage): Promise<boolean> {
  const found = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((path) => !path.startsWith('LOCK.level'));
  if (found.length !== files.size) return false;
  for (const path of found) {
    const bytes = files.get(path.replaceAll('\\', '/'));
    if (bytes === undefined || !bytes.read(0, bytes.size).equals(await readFile(join(root, path)))) return false;
  }
  return true;
}
