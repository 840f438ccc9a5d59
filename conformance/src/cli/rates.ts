import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type EngineDefinition,
  encodeBatch,
  isStorageError,
  patchOffsetAndEpoch,
  type SegmentReader,
  type SegmentWriter,
  systemClock,
} from '@robustmq/core';
import type { EngineHarness } from '../check.ts';

/** How fast, beside the disk itself in the same run: the figures alone say more of the machine than of the engine. */
export interface Rates {
  readonly recordBytes: number;
  /** `undefined`: it takes whole segments only. */
  readonly append: readonly AppendRate[];
  readonly read: { readonly mibPerSecond: number; readonly rawMibPerSecond: number } | undefined;
  /** Why something could not be measured. */
  readonly problem?: string;
}

export interface AppendRate {
  readonly inFlight: number;
  readonly perSecond: number;
  /** As many records in one write, then fdatasync, again and again. */
  readonly rawPerSecond: number;
}

const RECORD_BYTES = 1024;
const IN_FLIGHT = [1, 64];
const ROUNDS = 3;
const ROUND_MS = 120;
/** A round ends here, too: an engine in memory would fill it. */
const ROUND_BYTES = 8 * 1024 * 1024;
const READ_BYTES = 64 * 1024;

/** By turns: what disturbs the machine disturbs both. */
export async function measureRates(
  definition: EngineDefinition,
  openHarness: () => Promise<EngineHarness>,
): Promise<Rates> {
  const dir = await mkdtemp(join(tmpdir(), 'robust-raw-'));
  const harness = await openHarness();
  try {
    const { engine } = harness;
    const append: AppendRate[] = [];
    const reads: { ours: number; raw: number }[] = [];
    for (const inFlight of definition.capabilities.append ? IN_FLIGHT : []) {
      const ours: number[] = [];
      const raw: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const path = join(dir, `raw-${inFlight}-${round}`);
        raw.push(await rawAppends(path, inFlight));
        const id = `rate-${inFlight}-${round}`;
        const writer = await engine.create(id, { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) });
        ours.push(await engineAppends(writer, inFlight));
        await writer.seal();
        await writer.close();
        if (inFlight === 1) continue;
        const reader = await engine.openReader(id);
        reads.push({ ours: await engineRead(reader), raw: await rawRead(path) });
        await reader.close();
      }
      append.push({ inFlight, perSecond: median(ours), rawPerSecond: median(raw) });
    }
    const read =
      reads.length === 0
        ? undefined
        : { mibPerSecond: median(reads.map(({ ours }) => ours)), rawMibPerSecond: median(reads.map(({ raw }) => raw)) };
    return { recordBytes: RECORD_BYTES, append, read };
  } catch (error) {
    // the checks judge the engine; this only measures it
    const problem = error instanceof Error ? error.message : String(error);
    return { recordBytes: RECORD_BYTES, append: [], read: undefined, problem };
  } finally {
    await harness.dispose().catch(() => {});
    await rm(dir, { recursive: true, force: true });
  }
}

/** Records a second. */
async function engineAppends(writer: SegmentWriter, inFlight: number): Promise<number> {
  const template = encodeBatch([
    { timestamp: 1_700_000_000_000, key: null, value: Buffer.alloc(RECORD_BYTES, 'x'), headers: [] },
  ]);
  const from = systemClock.monotonic();
  let base = 0;
  let count = 0;
  let rolled = false;
  const goesOn = (): boolean =>
    !rolled && systemClock.monotonic() - from < ROUND_MS && base * template.length < ROUND_BYTES;
  const client = async (): Promise<void> => {
    const bytes = Uint8Array.from(template);
    while (goesOn()) {
      for (let wait = writer.ready(bytes.length); wait !== undefined; wait = writer.ready(bytes.length)) await wait;
      if (rolled) return;
      patchOffsetAndEpoch(bytes, base, 1);
      try {
        await writer.append([bytes], { base: base++ });
        count++;
      } catch (error) {
        // what was behind it is refused with it
        if (!rolled && !isStorageError(error, 'SEGMENT_MUST_ROLL')) throw error;
        rolled = true;
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, client));
  return (count * 1000) / (systemClock.monotonic() - from);
}

async function rawAppends(path: string, inFlight: number): Promise<number> {
  const group = Buffer.alloc(inFlight * RECORD_BYTES, 'x');
  await using file = await open(path, 'w');
  const from = systemClock.monotonic();
  let position = 0;
  do {
    await file.write(group, 0, group.length, position);
    await file.datasync();
    position += group.length;
  } while (systemClock.monotonic() - from < ROUND_MS && position < ROUND_BYTES);
  return (position * 1000) / RECORD_BYTES / (systemClock.monotonic() - from);
}

/** MiB a second, front to back; what is read was written a moment ago, and comes from the cache on both sides. */
async function engineRead(reader: SegmentReader): Promise<number> {
  const { base, end } = reader.offsets();
  const from = systemClock.monotonic();
  let bytes = 0;
  for (let at = base; at < end; ) {
    const read = await reader.read(at, { maxBytes: READ_BYTES });
    bytes += read.bytes.length;
    at = read.next;
  }
  return mibPerSecond(bytes, from);
}

async function rawRead(path: string): Promise<number> {
  await using file = await open(path, 'r');
  const from = systemClock.monotonic();
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, bytes);
    if (bytesRead === 0) return mibPerSecond(bytes, from);
    bytes += bytesRead;
  }
}

function mibPerSecond(bytes: number, fromMs: number): number {
  return (bytes * 1000) / 1_048_576 / Math.max(0.01, systemClock.monotonic() - fromMs);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
