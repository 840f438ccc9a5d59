import { join } from 'node:path';
import { type Random, systemClock } from '@robustmq/core';
import { RecordedDisk, SparseBytes } from '@robustmq/core/testing';
import type { Workshop } from '../check.ts';
import { inParallel } from './in-parallel.ts';
import { judgeDamage } from './judge.ts';
import { meaningful } from './meaningful.ts';
import { Progress } from './progress.ts';
import type { Recording } from './recording.ts';
import { look, thrownIn } from './seen.ts';
import { shuffled } from './shuffled.ts';
import { everything } from './survivors.ts';
import type { TornTail } from './torn-tails.ts';

export interface LastProvenOptions {
  readonly workshop: Workshop;
  readonly recording: Recording;
  /** What the last append wrote. */
  readonly tail: TornTail;
  readonly dir: string;
  readonly random: Random;
  readonly forMs: number;
}

/** Changes one byte after the other of what the last append wrote, on the disk as it was left a while later. @throws what is wrong with it */
export async function damageTheLast(options: LastProvenOptions): Promise<void> {
  const { workshop, recording, tail, dir, random, forMs } = options;
  const { root, events, acts } = recording;
  const model = new RecordedDisk(root);
  const progress = new Progress(acts);
  for (const event of events) {
    model.apply(event);
    progress.apply(event);
  }
  const image = model.left(everything.survives);
  const ids = [...new Set(acts.map(({ id }) => id))];
  const places = tail.writes.flatMap(({ path, position, bytes }) =>
    bytes === undefined
      ? []
      : meaningful(bytes).map((at) => ({ path, at: position + at, mask: 1 + Math.floor(random.next() * 255) })),
  );
  const until = systemClock.monotonic() + forMs;
  await inParallel(shuffled(places, random), async ({ path, at, mask }, number) => {
    if (number > 0 && systemClock.monotonic() > until) return;
    const file = new SparseBytes(image.files.get(path));
    file.write(at, 1, Buffer.from([(file.read(at, 1)[0] ?? 0) ^ mask]));
    const damaged = { directories: image.directories, files: new Map(image.files).set(path, file) };
    const meta = await recording.meta.after(progress.commits);
    const seen = await look({ workshop, image: damaged, meta, dir: join(dir, `last-${number}`), ids, twice: false });
    const wrong = judgeDamage(acts, progress.known(), seen);
    if (wrong !== undefined)
      throw new Error(`byte ${at} of ${path} changed by 0x${mask.toString(16)}: ${wrong}`, thrownIn(seen, wrong));
  });
}
