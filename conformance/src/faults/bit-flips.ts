import { join } from 'node:path';
import { type Random, systemClock } from '@robustmq/core';
import { type DiskImage, RecordedDisk, SparseBytes } from '@robustmq/core/testing';
import type { Workshop } from '../check.ts';
import { inParallel } from './in-parallel.ts';
import { judgeDamage, type Known } from './judge.ts';
import { meaningful } from './meaningful.ts';
import { Progress } from './progress.ts';
import type { Recording } from './recording.ts';
import { look, type Seen, thrownIn } from './seen.ts';
import { everything } from './survivors.ts';

export interface FlipOptions {
  readonly workshop: Workshop;
  readonly recording: Recording;
  readonly dir: string;
  readonly random: Random;
  readonly forMs: number;
  /** The last append of each segment may lie in a group that nothing proves yet: losing it is no silent loss. */
  readonly lastIsUnproven: boolean;
}

interface Flip {
  readonly path: string;
  readonly at: number;
  readonly bit: number;
}

/**
 * Turns one bit of one byte after the other in every file that the engine left. Files that share no segment, by their names, take theirs
 * at the same time; what is wrong must be wrong with one of these alone.
 * @throws what is wrong, after which flip
 */
export async function flipEverywhere(options: FlipOptions): Promise<{ readonly tried: number; readonly of: number }> {
  const { workshop, recording, dir, random, forMs } = options;
  const { image, known, commits } = atTheEnd(recording, options.lastIsUnproven);
  const ids = [...new Set(recording.acts.map(({ id }) => id))];
  const phase = random.next();
  const queues = new Map(
    [...image.files].map(([path, bytes], i) => [path, flipsOf(path, bytes, phase + i / 7, random)]),
  );
  const of = [...queues.values()].reduce((sum, flips) => sum + flips.length, 0);
  // a bit in one of these may keep the engine from opening, which hides what the others do
  const alone = new Set<string>();
  let looks = 0;
  let tried = 0;
  const lookAt = async (flips: readonly Flip[]): Promise<Seen> => {
    const meta = await recording.meta.after(commits);
    const place = join(dir, `flip-${looks++}`);
    return await look({ workshop, image: flipped(image, flips), meta, dir: place, ids, twice: false });
  };
  const tryAll = async (flips: readonly Flip[]): Promise<void> => {
    const seen = await lookAt(flips);
    const wrong = judgeDamage(recording.acts, known, seen);
    if (flips.length > 1 && (wrong !== undefined || seen.refused !== undefined)) {
      for (const flip of flips) await tryAll([flip]);
      return;
    }
    const [first] = flips;
    if (wrong !== undefined && first !== undefined)
      throw new Error(`bit ${first.bit} of byte ${first.at} of ${first.path} turned: ${wrong}`, thrownIn(seen, wrong));
    if (seen.refused !== undefined && first !== undefined) alone.add(first.path);
    tried += flips.length;
  };
  const until = systemClock.monotonic() + forMs;
  const rounds = function* (): Generator<Flip[]> {
    while ([...queues.values()].some((flips) => flips.length > 0) && systemClock.monotonic() < until)
      yield* round(queues, alone);
  };
  await inParallel(rounds(), tryAll);
  return { tried, of };
}

/** One flip of each file, in as few looks as files allow: those of one segment go one after the other. */
function* round(queues: ReadonlyMap<string, Flip[]>, alone: ReadonlySet<string>): Generator<Flip[]> {
  const together: Map<string, Flip>[] = [];
  for (const [path, queue] of queues) {
    const flip = queue.pop();
    if (flip === undefined) continue;
    if (alone.has(path)) {
      yield [flip];
      continue;
    }
    const name = path.split('/').at(-1) ?? path;
    const stem = name.slice(0, name.includes('.') ? name.indexOf('.') : name.length);
    const place = together.find((flips) => !flips.has(stem));
    if (place === undefined) together.push(new Map([[stem, flip]]));
    else place.set(stem, flip);
  }
  for (const flips of together) yield [...flips.values()];
}

function atTheEnd(
  { root, events, acts }: Recording,
  lastIsUnproven: boolean,
): { readonly image: DiskImage; readonly known: Known; readonly commits: number } {
  const model = new RecordedDisk(root);
  const progress = new Progress(acts);
  for (const event of events) {
    model.apply(event);
    progress.apply(event);
  }
  const { begun, done } = progress.known();
  const proven = new Set(done);
  if (lastIsUnproven)
    for (const id of new Set(acts.map((act) => act.id))) {
      const last = acts.findLast((act) => act.id === id && act.does === 'append');
      if (last !== undefined) proven.delete(last);
    }
  return { image: model.left(everything.survives), known: { begun, done: proven }, commits: progress.commits };
}

/** Two places one behind the other in the list lie far from each other in the file. */
const GOLDEN = 0.618_033_988_75;

/** All bytes that say anything, in an order that covers the whole file early. Files that are alike begin at different places, and each seed at others. */
function flipsOf(path: string, bytes: SparseBytes, phase: number, random: Random): Flip[] {
  const key = (i: number): number => (i * GOLDEN + phase) % 1;
  return meaningful(bytes.read(0, bytes.size))
    .map((at, i) => ({ flip: { path, at, bit: Math.floor(random.next() * 8) }, key: key(i) }))
    .sort((a, b) => a.key - b.key)
    .map(({ flip }) => flip);
}

function flipped(image: DiskImage, flips: readonly Flip[]): DiskImage {
  const files = new Map(image.files);
  for (const { path, at, bit } of flips) {
    const file = new SparseBytes(files.get(path));
    file.write(at, 1, Buffer.from([(file.read(at, 1)[0] ?? 0) ^ (1 << bit)]));
    files.set(path, file);
  }
  return { directories: image.directories, files };
}
