import { join } from 'node:path';
import { systemClock } from '@robustmq/core';
import { type DiskImage, type RecordedCall, RecordedDisk, type RecordedEvent } from '@robustmq/core/testing';
import type { Workshop } from '../check.ts';
import { inParallel } from './in-parallel.ts';
import { judge, type Known } from './judge.ts';
import { Progress } from './progress.ts';
import type { Recording } from './recording.ts';
import { look, thrownIn } from './seen.ts';
import {
  type Cut,
  dataOnly,
  everyOtherSector,
  everything,
  namesOnly,
  newestOnly,
  nothing,
  seeded,
} from './survivors.ts';
import { digestImage } from './write-image.ts';

export interface PowerCutsOptions {
  readonly seed: number;
  /** How many seeded choices there are at each point. */
  readonly choices: number;
  /** Disks that only seeded choices give are looked at as long as this lasts. */
  readonly forMs: number;
  /** The others, too, as long as this lasts: an engine that takes its time to open is not shown at all points. */
  readonly atMostMs: number;
  /** Where to build disks. */
  readonly dir: string;
}

export interface PowerCutsResult {
  /** Before and after each I/O step; each with everything and with nothing of what was not synced, and more. */
  readonly points: { readonly tried: number; readonly of: number };
  /** Different disks that were looked at, and how many the choices made. */
  readonly disks: { readonly tried: number; readonly of: number };
}

/**
 * Cuts the power at every step of a recording and looks at what the engine makes of the disk. Disks that are the same are looked at once,
 * and judged by what was promised at each of the points that leave them.
 * @throws what is wrong, where
 */
export async function cutEverywhere(
  workshop: Workshop,
  recording: Recording,
  options: PowerCutsOptions,
): Promise<PowerCutsResult> {
  const { points, disks } = allDisks(recording, options);
  const ids = [...new Set(recording.acts.map(({ id }) => id))];
  const began = systemClock.monotonic();
  const missed = new Set<string>();
  let tried = 0;
  await inParallel(disks, async (disk, number) => {
    if (systemClock.monotonic() - began > (disk.required ? options.atMostMs : options.forMs)) {
      for (const { where, plain } of disk.points) if (plain) missed.add(where);
      return;
    }
    const meta = await recording.meta.after(disk.commits);
    const dir = join(options.dir, `cut-${number}`);
    const seen = await look({ workshop, image: disk.image, meta, dir, ids, twice: number % TWICE === 0 });
    for (const { known, cut, where } of disk.points.toSorted((a, b) => Number(b.plain) - Number(a.plain))) {
      const wrong = judge(recording.acts, known, seen);
      if (wrong !== undefined)
        throw new Error(`power cut ${where}, leaving ${cut.name}: ${wrong}`, thrownIn(seen, wrong));
    }
    tried++;
  });
  return { points: { tried: points - missed.size, of: points }, disks: { tried, of: disks.length } };
}

/** Every so many disks are opened once more after they were recovered. */
const TWICE = 4;

interface Disk {
  readonly image: DiskImage;
  /** Of Meta. */
  readonly commits: number;
  readonly points: { readonly known: Known; readonly cut: Cut; readonly where: string; readonly plain: boolean }[];
  required: boolean;
}

function allDisks(
  recording: Recording,
  options: PowerCutsOptions,
): { readonly points: number; readonly disks: Disk[] } {
  const disks = new Map<string, Disk>();
  const model = new RecordedDisk(recording.root);
  const progress = new Progress(recording.acts);
  let points = 0;
  const cutHere = (where: string): void => {
    points++;
    const newest = model.unsynced().at(-1)?.op;
    const cuts: [Cut, boolean][] = [
      [everything, true],
      [nothing, true],
      [namesOnly, true],
      [dataOnly, true],
      ...(newest === undefined ? [] : [[newestOnly(newest), true] as [Cut, boolean]]),
      [everyOtherSector(0), false],
      [everyOtherSector(1), false],
    ];
    for (let i = 0; i < options.choices; i++) cuts.push([seeded((options.seed * 1000 + points) * 100 + i), false]);
    for (const [cut, required] of cuts) {
      const image = model.left(cut.survives);
      const key = `${progress.commits} ${digestImage(image)}`;
      const disk = disks.get(key) ?? { image, commits: progress.commits, points: [], required };
      disk.required ||= required;
      disk.points.push({ known: progress.known(), cut, where, plain: required });
      disks.set(key, disk);
    }
  };
  let step = 0;
  for (const event of recording.events) {
    if (event.kind === 'begin') step++;
    // what happens between two steps of I/O changes no disk, and promises only more
    if (event.kind !== 'mark')
      cutHere(`${event.kind === 'begin' ? 'before' : 'in'} I/O step ${step} (${nameOf(event, recording)})`);
    model.apply(event);
    progress.apply(event);
  }
  cutHere('at the end');
  return { points, disks: [...disks.values()].sort((a, b) => Number(b.required) - Number(a.required)) };
}

/** A step, for people: what was done to which file. */
function nameOf(event: RecordedEvent, { events, root }: Recording): string {
  if (event.kind === 'mark') return '';
  const callOf = (op: number): RecordedCall | undefined => {
    const found = events.find((one) => one.kind === 'begin' && one.op === op);
    return found?.kind === 'begin' ? found.call : undefined;
  };
  const call = callOf(event.op);
  if (call === undefined) return 'unknown';
  let path = 'path' in call ? call.path : 'to' in call ? call.to : '';
  if ('file' in call) {
    const opened = callOf(call.file);
    if (opened?.does === 'open') path = opened.path;
  }
  const at = call.does === 'write' ? ` of ${call.length} bytes at ${call.position}` : '';
  return `${call.does}${at}, ${path.startsWith(root) ? path.slice(root.length + 1) || 'its directory' : path}`;
}
