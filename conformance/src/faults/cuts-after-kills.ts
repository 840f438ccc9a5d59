import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeFileSystem, systemClock } from '@robustmq/core';
import {
  type RecordedCall,
  RecordedDisk,
  type RecordedEvent,
  RecordedLog,
  recordedFileSystem,
  SeededRandom,
  VirtualClock,
} from '@robustmq/core/testing';
import type { Workshop } from '../check.ts';
import { whyOf } from '../faults-io/ledger.ts';
import { pause } from '../resources.ts';
import { type Act, Actor } from './acts.ts';
import { inParallel } from './in-parallel.ts';
import { judge, type Known } from './judge.ts';
import { run } from './plays.ts';
import { Progress } from './progress.ts';
import type { RecordedMeta } from './recorded-meta.ts';
import type { Recording } from './recording.ts';
import { look, thrownIn } from './seen.ts';
import { shuffled } from './shuffled.ts';
import { dataOnly, everything, namesOnly, nothing } from './survivors.ts';
import { digestImage, writeImage } from './write-image.ts';

export interface CutsAfterKillsOptions {
  readonly seed: number;
  /** Kills that there is no time for are not tried. */
  readonly forMs: number;
  /** Whether it can be written to. */
  readonly appends: boolean;
  /** Where to build disks. */
  readonly dir: string;
}

/** Where the process is killed. */
interface Kill {
  /** So many events of the recording had happened. */
  readonly after: number;
  readonly known: Known;
  readonly commits: number;
  /** Ranks first where it leaves more. */
  readonly names: number;
}

/** How long the successor has nothing to do, by a clock that is quick. */
const IDLE_MS = 10_000;
const TICK_MS = 5;
/** The segment that the successor writes. */
const NEXT = 'next';
const LATER_EPOCH = 7;
const CUTS = [nothing, namesOnly, dataOnly];

/**
 * Kills the process in the middle of a recording, where something was not on the disk for certain: the kernel still has it. The next process finds it all done, has nothing
 * to do, or recovers and goes on, by turns, and is closed; then the power is cut. What the killed one had not synced is lost now, unless its successor did.
 * @returns kills tried, of the places where there was something to lose
 * @throws what is wrong, where
 */
export async function cutAfterKills(
  workshop: Workshop,
  recording: Recording,
  { seed, forMs, appends, dir }: CutsAfterKillsOptions,
): Promise<{ readonly tried: number; readonly of: number }> {
  // names are fewer, and more easily forgotten
  const kills = shuffled(killsOf(recording), new SeededRandom(seed)).toSorted((a, b) => b.names - a.names);
  const ids = [...new Set(recording.acts.map(({ id }) => id)), NEXT];
  const until = systemClock.monotonic() + forMs;
  let tried = 0;
  await inParallel(kills, async (kill, number) => {
    if (number > 0 && systemClock.monotonic() >= until) return;
    const looked = new Set<string>();
    const works = appends && number % 2 === 1;
    const life = await liveOnce(workshop, recording, kill, { dir: join(dir, `kill-${number}`), works }).catch(
      (error) => {
        throw new Error(`killed after ${kill.after} events, then started and closed: ${whyOf(error)}`, {
          cause: error,
        });
      },
    );
    for (const cut of CUTS) {
      const image = life.disk.left(cut.survives);
      const digest = digestImage(image);
      if (looked.has(digest)) continue;
      looked.add(digest);
      const meta = await life.meta.after(life.meta.commits);
      const seen = await look({
        workshop,
        image,
        meta,
        dir: join(dir, `kill-${number}-${looked.size}`),
        ids,
        twice: false,
      });
      const wrong = judge(life.acts, life.known, seen);
      if (wrong !== undefined)
        throw new Error(
          `killed after ${kill.after} events, started${works ? ', recovered, written to' : ''} and closed, then a power cut leaving ${cut.name}: ${wrong}`,
          thrownIn(seen, wrong),
        );
    }
    tried++;
  });
  return { tried, of: kills.length };
}

function killsOf(recording: Recording): Kill[] {
  const kills: Kill[] = [];
  const model = new RecordedDisk(recording.root);
  const progress = new Progress(recording.acts);
  for (const [i, event] of recording.events.entries()) {
    model.apply(event);
    progress.apply(event);
    // before it does anything more: by then what it has answered counts, too
    const next = recording.events[i + 1];
    if (next !== undefined && next.kind !== 'begin') continue;
    const names = model.unsyncedNames();
    if (names === 0 && model.unsynced().length === 0) continue;
    kills.push({ after: i + 1, known: progress.known(), commits: progress.commits, names });
  }
  return kills;
}

interface Life {
  /** What a power cut may leave after it. */
  readonly disk: RecordedDisk;
  readonly meta: RecordedMeta;
  /** With those of the killed one. */
  readonly acts: readonly Act[];
  readonly known: Known;
}

/** One life of the next process, on what the killed one has left. */
async function liveOnce(
  workshop: Workshop,
  recording: Recording,
  kill: Kill,
  { dir, works }: { readonly dir: string; readonly works: boolean },
): Promise<Life> {
  const disk = new RecordedDisk(recording.root);
  for (const event of recording.events.slice(0, kill.after)) disk.apply(event);
  const root = join(dir, 'instance');
  await writeImage(disk.left(everything.survives), root);
  // there were fewer calls than events
  const log = new RecordedLog(undefined, recording.events.length);
  const meta = await recording.meta.goingOn(kill.commits, log);
  const fs = recordedFileSystem(nodeFileSystem, log);
  const actor = new Actor(log);
  try {
    await inQuickTime(async (clock) => {
      const { instance, unlock } = await workshop.open({ dir: root, meta, fs, clock });
      actor.use(instance.engine);
      if (works) await goOn(actor, recording.acts, kill.known);
      const until = clock.monotonic() + IDLE_MS;
      while (clock.monotonic() < until) await pause(TICK_MS);
      await instance.close();
      await unlock();
    });
  } finally {
    // there are hundreds of them
    await rm(dir, { recursive: true, force: true });
  }
  const progress = new Progress(actor.acts);
  for (const event of log.events()) {
    disk.apply(moved(event, root, recording.root));
    progress.apply(event);
  }
  const { begun, done } = progress.known();
  const known = {
    begun: new Set([...kill.known.begun, ...begun]),
    done: new Set([...kill.known.done, ...done]),
  };
  return { disk, meta, acts: [...recording.acts, ...actor.acts], known };
}

/** As core does: recovers what may be open, and writes into a new segment. */
async function goOn(actor: Actor, acts: readonly Act[], { begun, done }: Known): Promise<void> {
  const deleted = new Set([...begun].filter(({ does }) => does === 'delete').map(({ id }) => id));
  for (const act of acts)
    if (act.does === 'create' && done.has(act) && !deleted.has(act.id)) await actor.recover(act.id, LATER_EPOCH);
  const writer = await actor.create(NEXT, { base: 0, epoch: LATER_EPOCH });
  await actor.append(NEXT, writer, run(NEXT, 0, 2, 100));
}

/** With a clock that goes a hundred times as fast: what is done after seconds of quiet is done, and I/O takes no hours. */
async function inQuickTime(run: (clock: VirtualClock) => Promise<void>): Promise<void> {
  const clock = new VirtualClock();
  let isOver = false;
  const ticks = async (): Promise<void> => {
    while (!isOver) {
      await pause(TICK_MS);
      await clock.advance(100 * TICK_MS);
    }
  };
  const ticking = ticks();
  try {
    await run(clock);
  } finally {
    isOver = true;
    await ticking;
  }
}

/** The same in another directory. */
function moved(event: RecordedEvent, from: string, to: string): RecordedEvent {
  if (event.kind !== 'begin') return event;
  const place = (path: string): string => (path.startsWith(from) ? `${to}${path.slice(from.length)}` : path);
  const { call } = event;
  const at = (): RecordedCall => {
    if ('path' in call) return { ...call, path: place(call.path) };
    if ('from' in call) return { ...call, from: place(call.from), to: place(call.to) };
    return call;
  };
  return { ...event, call: at() };
}
