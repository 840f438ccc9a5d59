import { basename, dirname, join, resolve } from 'node:path';
import { type EngineContext, isStorageError, StorageError } from '@robustmq/core';
import { type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
import { Checkpointer } from './checkpointer.ts';
import { DiskSpace } from './disk-space.ts';
import { ioError, isMissing, readFile, removeFile } from './durable-file.ts';
import { LocalFileEngine } from './engine.ts';
import { FileCache } from './file-cache.ts';
import { readInstance, writeInstance } from './instance-file.ts';
import { type Leftover, Rebuild } from './rebuild.ts';
import { openStored } from './sealed-segments.ts';
import type { Descriptor } from './segment/descriptor.ts';
import { parseSegmentFile, SegmentPaths } from './segment/segment-files.ts';
import { readFooter } from './segment/stored.ts';
import { SegmentTable } from './segment-table.ts';
import { DEFAULT_SETTINGS, type LocalFileSettings } from './settings.ts';
import { FilePreparer } from './wal/file-preparer.ts';
import { LogReads } from './wal/log-reads.ts';
import { replay } from './wal/replay.ts';
import { Ring } from './wal/ring.ts';
import { type Survey, surveyWal, sweepUnfinished } from './wal/survey.ts';
import { Wal } from './wal/wal.ts';
import { WalFiles } from './wal/wal-files.ts';
import { WalWorker } from './wal/wal-worker.ts';
import { WriteBack } from './write-back.ts';

/** Opens a directory: makes it if it is new, else finds out from checkpoint and log what was going on when it was left. */
export async function openLocalFile(ctx: EngineContext<Partial<LocalFileSettings>>): Promise<LocalFileEngine> {
  const settings = { ...DEFAULT_SETTINGS, ...ctx.config };
  checkSettings(settings);
  const dir = resolve(settings.dir ?? ctx.dir);
  await ctx.fs.mkdir(dir);
  const lock = await ctx.lock(dir);
  const logReads = new LogReads(ctx.fs);
  try {
    return await openLocked(ctx, settings, dir, lock, logReads);
  } catch (error) {
    await logReads.close();
    await lock.release();
    throw ioError('The directory could not be opened', dir, error);
  }
}

async function openLocked(
  ctx: EngineContext<Partial<LocalFileSettings>>,
  settings: LocalFileSettings,
  dir: string,
  lock: { release(): Promise<void> },
  logReads: LogReads,
): Promise<LocalFileEngine> {
  const { fs, clock, logger } = ctx;
  const began = clock.monotonic();
  const paths = new SegmentPaths(dir);
  const walDir = join(dir, 'wal');
  const known = await readInstance(fs, dir);
  const found = await readCheckpoint(ctx, dir, known !== undefined);
  const survey = await surveyWal(fs, walDir, found.place.sequence);
  const table = new SegmentTable();
  const cache = new FileCache(fs, settings.maxOpenFiles);
  const rebuild = new Rebuild({ table, paths, cache, indexInterval: settings.indexIntervalBytes }, found);
  refuseHalfALog(dir, found, survey);
  const { end, torn, gap } = await replay(logReads, survey.replay, found.place, found.maxGroupBytes, rebuild);
  if (gap !== undefined) throw halfALog(dir, `a file of it between sequences ${gap.after} and ${gap.before} is gone`);
  rebuild.finish();

  // nothing is written before it is certain that nothing will be forgotten
  await fs.mkdir(walDir);
  await fs.mkdir(paths.dir);
  await sweepUnfinished(fs, walDir);
  if (known === undefined) await fs.syncDirectory(dirname(dir));
  const incarnation = known ?? (await writeInstance(fs, dir, ctx.random));
  const generation = Math.max(found.generation, survey.highestGeneration) + 1;
  const nextSequence = Math.max(found.nextSequence, survey.highestSequence + 1);

  const files = new WalFiles(fs, walDir, settings.walFiles, survey.files, { generation, nextSequence });
  const ring = new Ring(settings.ringBytes);
  const services: { engine?: LocalFileEngine } = {};
  const space = new DiskSpace({
    fs,
    dir,
    clock,
    reserveBytes: settings.reserveBytes,
    onFull: (detail) => services.engine?.diskFull(detail),
    onRoom: () => services.engine?.diskHasRoom(),
  });
  const writeBack = new WriteBack({
    cache,
    segmentBytes: settings.writeBackBytes,
    totalBytes: settings.tailBytes,
    onFull: (detail) => space.reportFull(detail),
  });
  const worker = new WalWorker(ring, {
    fs: fs.worker,
    dir: walDir,
    fileBytes: settings.walFileBytes,
    generation,
    position: end,
  });
  const { walFileBytes: fileBytes, reserveBytes } = settings;
  const wal = new Wal({
    ring,
    worker,
    files,
    preparer: new FilePreparer({ fs, dir: walDir, fileBytes, reserveBytes }),
    clock,
    generation,
    position: end,
    markIdleMs: settings.markIdleMs,
    onFailure: (code, detail) => walFailure(ctx, walDir, code, detail),
    onFull: (detail) => space.reportFull(detail),
    onDead: (error) => services.engine?.failed(error),
    onProgress: () => services.engine?.progress(),
  });
  const checkpointer = new Checkpointer({
    dir,
    fs,
    clock,
    logger,
    paths,
    cache,
    table,
    writeBack,
    wal,
    logReads,
    files,
    walFileBytes: settings.walFileBytes,
    checkpointBytes: settings.checkpointBytes,
    maxGroupBytes: Math.max(settings.ringBytes, found.maxGroupBytes),
    generation,
    place: found.place,
    onTrouble: (detail) => {
      if (detail !== undefined)
        services.engine?.report({
          status: 'failed',
          detail: `The write-ahead log cannot be shortened: ${detail}. Check the disk`,
        });
      else if (!space.full) services.engine?.report({ status: 'ok', detail: '' });
    },
  });
  const engine = new LocalFileEngine({
    ...{ ctx, dir, settings, paths, lock, incarnation, table, cache, space, writeBack, wal, checkpointer, logReads },
  });
  services.engine = engine;
  try {
    await finishLeftovers(ctx, paths, table, cache, settings, rebuild.leftovers);
    await sweep(ctx, paths, table);
    // from here on this generation may write
    await checkpointer.begin(found.place);
    await space.check();
  } catch (error) {
    space.close();
    await wal.close();
    await cache.close();
    throw error;
  }
  // what lies in the log is copied into segment files from there, a segment after the other
  if (survey.replay.length > 0) checkpointer.runSoon();
  const facts = { appends: rebuild.appends, damagedBytes: rebuild.damagedBytes, torn, open: table.size };
  const message = 'local-file is open';
  if (rebuild.damagedBytes > 0 || table.suspect) logger.error({ dir, ...facts }, `${message}, with damage`);
  else logger.info({ dir, ms: Math.round(clock.monotonic() - began), ...facts }, message);
  return engine;
}

async function readCheckpoint(ctx: EngineContext<unknown>, dir: string, known: boolean): Promise<Checkpoint> {
  const path = join(dir, 'checkpoint');
  const bytes = await readFile(ctx.fs, path);
  const checkpoint = bytes === undefined ? undefined : decodeCheckpoint(bytes, path);
  const files = await ctx.fs.readdir(join(dir, 'segments')).catch(missingAsUndefined);
  const logs = (await ctx.fs.readdir(join(dir, 'wal')).catch(missingAsUndefined)) ?? [];
  if (checkpoint !== undefined) {
    if (files === undefined) ctx.logger.error({ dir }, 'the directory of segments is gone');
    return files === undefined ? { ...checkpoint, suspect: true } : checkpoint;
  }
  const suspect = bytes !== undefined || (files ?? []).length > 0 || logs.length > 0;
  if (suspect)
    ctx.logger.error({ path, known }, 'the checkpoint is gone or damaged: segments that were not sealed are lost');
  return {
    generation: 0,
    nextSequence: 1,
    nextNumber: 1,
    place: { position: 0, sequence: 0, offset: 0 },
    maxGroupBytes: 0,
    suspect,
    segments: [],
  };
}

/** A start that goes on without a part of the log would write a checkpoint that forgets it for good. */
function refuseHalfALog(dir: string, found: Checkpoint, survey: Survey): void {
  if (found.generation === 0) {
    if (survey.replay.length === 0) return;
    throw new StorageError('CORRUPT', 'The checkpoint is gone or damaged, and the write-ahead log holds data', {
      where: join(dir, 'checkpoint'),
      outcome: 'none',
      hint:
        `Put the file back, from this very moment of the directory. If it is gone for good, move ${join(dir, 'checkpoint')} and ` +
        `the files in ${join(dir, 'wal')} away and use topic recover --accept-loss`,
    });
  }
  const there = new Set(survey.files.map((file) => basename(file.path)));
  for (const name of found.logFiles ?? []) if (!there.has(name)) throw halfALog(dir, `its file ${name} is gone`);
  const { sequence, offset } = found.place;
  if (offset === 0) return;
  const needed = survey.replay.find((file) => file.sequence === sequence);
  if (needed === undefined) throw halfALog(dir, `the file with sequence ${sequence} is gone`);
  const size = survey.files.find((file) => file.path === needed.path)?.zeroedBytes ?? 0;
  if (size < offset)
    throw halfALog(dir, `its file ${basename(needed.path)} has ${size} bytes, the checkpoint names offset ${offset}`);
}

function halfALog(dir: string, what: string): StorageError {
  return new StorageError('CORRUPT', `A part of the write-ahead log is missing: ${what}`, {
    where: join(dir, 'wal'),
    outcome: 'none',
    hint:
      `Put the file back. If it is gone for good, remove ${join(dir, 'checkpoint')}, move what is left in ${join(dir, 'wal')} away ` +
      'and use topic recover --accept-loss',
  });
}

/** What the log says about segments that are not open any more: done before the crash, or to be done now. */
async function finishLeftovers(
  ctx: EngineContext<unknown>,
  paths: SegmentPaths,
  table: SegmentTable,
  cache: FileCache,
  settings: LocalFileSettings,
  leftovers: readonly Leftover[],
): Promise<void> {
  for (const { id, nonce, kind, epoch } of leftovers) {
    let footer: Descriptor | undefined;
    try {
      footer = await readFooter(ctx.fs, paths, id);
    } catch (error) {
      if (!isStorageError(error, 'CORRUPT')) throw error;
      // nobody knows whose it is: it may be of one that took the name since, and then it is all that there is of it
      continue;
    }
    if (kind === 'fence') {
      // the one before it in the log may have brought it here: each may name a higher epoch
      const known = table.get(id);
      if (footer === undefined || footer.nonce !== nonce || (known !== undefined && known.nonce !== nonce)) continue;
      if ((known ?? footer).fencedEpoch >= epoch) continue;
      const segment = known ?? (await openStored(ctx.fs, paths, cache, id, footer, settings.indexIntervalBytes));
      segment.fencedEpoch = epoch;
      if (known === undefined) table.add(segment);
      table.touch(segment);
      continue;
    }
    if (footer !== undefined && footer.nonce !== nonce) continue;
    const there = table.get(id);
    // a recovery in front of its deletion in the log has brought it here
    if (there?.nonce === nonce) table.remove(there);
    else if (there !== undefined) {
      // made again under the same name: only what describes the old one goes
      if (footer !== undefined) await removeFile(ctx.fs, paths.of(id, 'footer'));
      continue;
    }
    for (const file of ['log', 'index', 'head', 'footer'] as const) await removeFile(ctx.fs, paths.of(id, file));
  }
}

/** Removes what an unfinished ingest or an unfinished replacement has left. */
async function sweep(ctx: EngineContext<unknown>, paths: SegmentPaths, table: SegmentTable): Promise<void> {
  const names = await ctx.fs.readdir(paths.dir);
  const found = new Set(names);
  for (const name of names) {
    const file = parseSegmentFile(name);
    if (file === undefined || !file.temporary) continue;
    // the footer of an ingest is renamed last: without it what was renamed before is of a segment that never was
    if (file.kind === 'footer' && !found.has(`${file.id}.footer`) && table.get(file.id) === undefined)
      for (const kind of ['log', 'index'] as const) await removeFile(ctx.fs, paths.of(file.id, kind));
    await removeFile(ctx.fs, join(paths.dir, name));
  }
}

function walFailure(ctx: EngineContext<unknown>, dir: string, code: string, detail: string): StorageError {
  const error = new StorageError('IO_ERROR', `Writing the write-ahead log failed with ${code}`, {
    where: dir,
    hint: 'What was acknowledged is safe; shards go on in new segments and a new file. Check the disk',
    cause: new Error(detail),
  });
  ctx.logger.error({ dir, code, detail }, 'writing the write-ahead log failed');
  return error;
}

function checkSettings(settings: LocalFileSettings): void {
  const { ringBytes, walFileBytes } = settings;
  if (walFileBytes < ringBytes + 8192)
    throw new StorageError(
      'INVALID_ARGUMENT',
      `walFileBytes (${walFileBytes}) must be above ringBytes (${ringBytes})`,
      {
        hint: `Set walFileBytes to ${ringBytes + 1024 * 1024} or more`,
      },
    );
  if (ringBytes % 8 !== 0)
    throw new StorageError('INVALID_ARGUMENT', `ringBytes (${ringBytes}) must be a multiple of 8`);
}

function missingAsUndefined(error: unknown): undefined {
  if (!isMissing(error)) throw error;
  return undefined;
}
