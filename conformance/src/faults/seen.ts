import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  forEachBatch,
  isStorageError,
  type Meta,
  type SegmentId,
  type SegmentReader,
  type StorageCode,
  type StorageEngine,
  systemClock,
} from '@robustmq/core';
import type { DiskImage } from '@robustmq/core/testing';
import { type Stored, stored } from '../batches.ts';
import type { Workshop } from '../check.ts';
import { writeImage } from './write-image.ts';

/** What an engine shows of a disk that it finds. */
export interface Seen {
  /** It would not open. */
  readonly refused?: Refusal;
  readonly listed: readonly SegmentId[];
  readonly segments: ReadonlyMap<SegmentId, SeenSegment>;
}

export interface SeenSegment {
  /** Of a reader, before any recovery. */
  readonly sealed: Content | Refusal;
  readonly inLowEpoch: End | Refusal;
  readonly recovered: End | Refusal;
  readonly again: End | Refusal;
  readonly after: Content | Refusal;
  /** After one more restart. */
  readonly later?: Content | Refusal;
}

export interface Content {
  readonly base: number;
  readonly end: number;
  readonly state: Uint8Array;
  readonly batches: readonly Stored[];
  /** What is found by offset or by time is not what is found by reading on. */
  readonly misled: string | undefined;
}

export interface End {
  readonly end: number;
}

export class Refusal {
  readonly code: StorageCode | 'no StorageError' | 'no end';
  readonly message: string;
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
    this.code = isStorageError(error) ? error.code : error instanceof Hung ? 'no end' : 'no StorageError';
    this.message = `${this.code} (${error instanceof Error ? error.message : String(error)})`;
  }

  is(...codes: readonly string[]): boolean {
    return codes.includes(this.code);
  }
}

/** What the engine threw when that is what is wrong: it leads to the line. */
export function thrownIn(seen: Seen, wrong: string): { readonly cause?: unknown } {
  const shown = [seen.refused, ...[...seen.segments.values()].flatMap((segment) => Object.values(segment))];
  const refusal = shown.find((one) => one instanceof Refusal && wrong.includes(one.message));
  return refusal instanceof Refusal ? { cause: refusal.error } : {};
}

export interface LookOptions {
  readonly workshop: Workshop;
  readonly image: DiskImage;
  readonly meta: Meta;
  /** Does not exist yet. */
  readonly dir: string;
  readonly ids: readonly SegmentId[];
  /** Looks once more after another restart. */
  readonly twice: boolean;
}

export const LOW_EPOCH = 1;
const HIGH_EPOCH = 1000;
/** A call that takes so long never ends. */
const HANG_MS = 20_000;

/** Opens an engine on a copy of the disk, asks it for everything, and closes it. */
export async function look(options: LookOptions): Promise<Seen> {
  try {
    return await lookOver(options);
  } finally {
    // there are hundreds of them
    await rm(options.dir, { recursive: true, force: true });
  }
}

async function lookOver(options: LookOptions): Promise<Seen> {
  const { workshop, image, meta, dir, ids, twice } = options;
  await writeImage(image, join(dir, 'instance'));
  const first = await opened(workshop, dir, meta, async (engine): Promise<Omit<Seen, 'refused'>> => {
    const segments = new Map<SegmentId, SeenSegment>();
    for (const id of ids) segments.set(id, await lookAt(engine, id));
    return { listed: await engine.list({ prefix: '', limit: 1000 }), segments };
  });
  if (first instanceof Refusal) return { refused: first, listed: [], segments: new Map() };
  if (!twice) return first;
  const second = await opened(workshop, dir, meta, async (engine) => {
    const later = new Map<SegmentId, SeenSegment>();
    for (const [id, seen] of first.segments) later.set(id, { ...seen, later: await read(engine, id) });
    return later;
  });
  if (second instanceof Refusal) return { refused: second, listed: [], segments: new Map() };
  return { ...first, segments: second };
}

async function opened<T>(
  workshop: Workshop,
  dir: string,
  meta: Meta,
  use: (engine: StorageEngine) => Promise<T>,
): Promise<T | Refusal> {
  try {
    const { instance, unlock } = await ends(workshop.open({ dir: join(dir, 'instance'), meta }));
    try {
      return await use(instance.engine);
    } finally {
      await ends(instance.close());
      await unlock();
    }
  } catch (error) {
    return new Refusal(error);
  }
}

async function lookAt(engine: StorageEngine, id: SegmentId): Promise<SeenSegment> {
  const sealed = await read(engine, id);
  const inLowEpoch = await recover(engine, id, LOW_EPOCH);
  const recovered = await recover(engine, id, HIGH_EPOCH);
  const again = await recover(engine, id, HIGH_EPOCH);
  return { sealed, inLowEpoch, recovered, again, after: await read(engine, id) };
}

async function recover(engine: StorageEngine, id: SegmentId, epoch: number): Promise<End | Refusal> {
  try {
    return await ends(engine.recover(id, { epoch }));
  } catch (error) {
    return new Refusal(error);
  }
}

async function read(engine: StorageEngine, id: SegmentId): Promise<Content | Refusal> {
  try {
    const reader = await ends(engine.openReader(id));
    try {
      return await ends(contentOf(reader));
    } finally {
      await reader.close();
    }
  } catch (error) {
    return new Refusal(error);
  }
}

async function contentOf(reader: SegmentReader): Promise<Content> {
  const { base, end } = reader.offsets();
  const batches: Stored[] = [];
  const times: number[] = [];
  for (let from = base; from < end; ) {
    const { bytes, next } = await reader.read(from, { maxBytes: READ_BYTES });
    batches.push(...stored(bytes));
    forEachBatch(bytes, ({ maxTimestamp }) => times.push(maxTimestamp));
    if (next <= from) break;
    from = next;
  }
  const state = Uint8Array.from(await reader.state());
  return { base, end, batches, state, misled: await misled(reader, batches, times) };
}

/** Goes to the first, the last and the one in the middle by offset and by time. */
async function misled(
  reader: SegmentReader,
  batches: readonly Stored[],
  times: readonly number[],
): Promise<string | undefined> {
  for (const at of new Set([0, batches.length >> 1, batches.length - 1])) {
    const batch = batches[at];
    const time = times[at];
    if (batch === undefined || time === undefined) continue;
    const [found] = stored((await reader.read(batch.base, { maxBytes: 1 })).bytes);
    if (found?.base !== batch.base || !found.body.equals(batch.body))
      return `offset ${batch.base} is not found where reading on from the beginning finds it`;
    const wanted = batches[times.findIndex((other) => other >= time)]?.base;
    const offset = await reader.offsetForTimestamp(time);
    if (offset !== wanted) return `time ${time} leads to offset ${offset}, it is at ${wanted}`;
  }
  return undefined;
}

const READ_BYTES = 64 * 1024;

class Hung extends Error {}

async function ends<T>(work: Promise<T>): Promise<T> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = systemClock.timer(HANG_MS, () => reject(new Hung(`a call did not end within ${HANG_MS} ms`)));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}
