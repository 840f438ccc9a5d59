import { join } from 'node:path';
import { type Random, systemClock } from '@robustmq/core';
import {
  type DiskImage,
  RecordedDisk,
  SECTOR_BYTES,
  SeededRandom,
  SparseBytes,
  type UnsyncedWrite,
} from '@robustmq/core/testing';
import type { Workshop } from '../check.ts';
import { inParallel } from './in-parallel.ts';
import { judge, type Known } from './judge.ts';
import { meaningful } from './meaningful.ts';
import { Progress } from './progress.ts';
import type { Recording } from './recording.ts';
import { look, thrownIn } from './seen.ts';
import { shuffled } from './shuffled.ts';
import { everything } from './survivors.ts';
import { digestImage } from './write-image.ts';

/** The disk at the moment when most of the last append was on its way, and nothing proved it yet. */
export interface TornTail {
  /** All but the tail. */
  readonly rest: DiskImage;
  /** In the order in which they were begun. */
  readonly writes: readonly UnsyncedWrite[];
  readonly known: Known;
  readonly commits: number;
}

/** @returns nothing when no write waits for a sync while an append does */
export function lastTail({ root, events, acts }: Recording): TornTail | undefined {
  const model = new RecordedDisk(root);
  const progress = new Progress(acts);
  let tail: TornTail | undefined;
  let appending = 0;
  let begunAt = 0;
  for (const event of events) {
    if (event.kind !== 'mark' && appending > 0) {
      const writes = model.unsynced().filter(({ op }) => op >= begunAt);
      if (writes.length > 0) {
        const ops = new Set(writes.map(({ op }) => op));
        const rest = model.left({ ...everything.survives, sector: (op) => !ops.has(op) });
        tail = { rest, writes, known: progress.known(), commits: progress.commits };
      }
    }
    model.apply(event);
    const before = appending;
    progress.apply(event);
    appending = progress.unanswered('append');
    if (before === 0 && appending > 0) begunAt = progress.steps;
  }
  return tail;
}

/** What became of the tail. */
export interface Damage {
  readonly name: string;
  damage(image: DiskImage): void;
}

/** Cut behind each byte, and each byte changed to another; zeros in a long row are padding, and count as one. */
export function cutsAndGarbles({ writes }: TornTail, random: Random): Damage[] {
  const tail = Buffer.concat(writes.map(({ bytes }) => bytes ?? NOTHING));
  const places = meaningful(tail);
  const cuts = places.map((at) => ({
    name: `the last group cut behind ${at} of ${tail.length} bytes`,
    damage: (image: DiskImage) => {
      let left = at;
      for (const write of writes) {
        const length = write.bytes === undefined ? write.length : Math.min(left, write.length);
        put(image, write, 0, length);
        if (write.bytes !== undefined) left -= length;
        if (left === 0) return;
      }
    },
  }));
  const garbles = places.map((at) => {
    const mask = 1 + Math.floor(random.next() * 255);
    return {
      name: `byte ${at} of ${tail.length} of the last group changed by 0x${mask.toString(16)}`,
      damage: (image: DiskImage) => {
        let from = 0;
        for (const write of writes) {
          put(image, write, 0, write.length);
          const length = write.bytes?.length ?? 0;
          if (at >= from && at < from + length) change(image, write.path, write.position + at - from, mask);
          from += length;
        }
      },
    };
  });
  return [...cuts, ...garbles];
}

const NOTHING = new Uint8Array(0);

const ALL_SUBSETS_UP_TO = 7;

/** Its sectors reach the disk in any order, so any of them may be there; those that are not hold what they held, or noise. */
export function someSectors({ writes }: TornTail, random: Random, count: number): Damage[] {
  const sectors = writes.flatMap((write) => {
    const first = Math.floor(write.position / SECTOR_BYTES);
    const end = write.position + write.length;
    return write.bytes === undefined
      ? []
      : Array.from({ length: Math.ceil(end / SECTOR_BYTES) - first }, (_, i) => ({ write, sector: first + i }));
  });
  const subsets: boolean[][] = [];
  if (sectors.length <= ALL_SUBSETS_UP_TO)
    for (let bits = 0; bits < 2 ** sectors.length; bits++) subsets.push(sectors.map((_, i) => ((bits >> i) & 1) === 1));
  else for (let i = 0; i < count; i++) subsets.push(sectors.map(() => random.next() < 0.5));
  return subsets.flatMap((there) =>
    [false, true].map((noise) => ({
      name: `sectors ${there.flatMap((is, i) => (is ? [i] : [])).join(', ') || 'none'} of ${there.length} of the last group, ${noise ? 'noise' : 'what was there before'} in the others`,
      damage: (image: DiskImage) => {
        for (const [i, { write, sector }] of sectors.entries()) {
          const from = Math.max(write.position, sector * SECTOR_BYTES);
          const to = Math.min(write.position + write.length, (sector + 1) * SECTOR_BYTES);
          if (there[i]) put(image, write, from - write.position, to - from);
          else if (noise) fileOf(image, write.path).write(from, to - from, noiseOf(to - from, i));
        }
      },
    })),
  );
}

export interface TearOptions {
  readonly workshop: Workshop;
  readonly recording: Recording;
  readonly tail: TornTail;
  readonly dir: string;
  readonly random: Random;
  readonly forMs: number;
}

/** Looks at as many of the damages as there is time for, in any order. @throws what is wrong with one of them */
export async function tear(
  damages: readonly Damage[],
  options: TearOptions,
): Promise<{ readonly tried: number; readonly of: number }> {
  const { workshop, recording, tail, dir, random, forMs } = options;
  const ids = [...new Set(recording.acts.map(({ id }) => id))];
  const seenBefore = new Set<string>();
  const until = systemClock.monotonic() + forMs;
  let tried = 0;
  await inParallel(shuffled(damages, random), async ({ name, damage }, number) => {
    if (systemClock.monotonic() > until) return;
    const image = { directories: tail.rest.directories, files: new Map(tail.rest.files) };
    damage(image);
    const digest = digestImage(image);
    tried++;
    if (seenBefore.has(digest)) return;
    seenBefore.add(digest);
    const meta = await recording.meta.after(tail.commits);
    const seen = await look({ workshop, image, meta, dir: join(dir, `torn-${number}`), ids, twice: false });
    const wrong = judge(recording.acts, tail.known, seen);
    if (wrong !== undefined) throw new Error(`${name}: ${wrong}`, thrownIn(seen, wrong));
  });
  return { tried, of: damages.length };
}

function put(image: DiskImage, write: UnsyncedWrite, from: number, length: number): void {
  if (length === 0) return;
  fileOf(image, write.path).write(write.position + from, length, write.bytes?.subarray(from, from + length));
}

function change(image: DiskImage, path: string, position: number, mask: number): void {
  const file = fileOf(image, path);
  file.write(position, 1, Buffer.from([(file.read(position, 1)[0] ?? 0) ^ mask]));
}

/** A copy of the image's own. */
function fileOf(image: DiskImage, path: string): SparseBytes {
  const file = new SparseBytes(image.files.get(path));
  image.files.set(path, file);
  return file;
}

function noiseOf(length: number, seed: number): Buffer {
  const random = new SeededRandom(seed + 1);
  return Buffer.from(Array.from({ length }, () => Math.floor(random.next() * 256)));
}
