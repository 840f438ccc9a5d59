/** Sealed segments that lie elsewhere than they belong are brought there: into the archive, back from it, after their topic to another engine. */
import type { TopicSettings } from '../adapter.ts';
import type { StorageError } from '../errors.ts';
import type { EngineInstance } from '../storage-options.ts';
import { isWeaker } from '../topics/validate.ts';
import type { SegmentRow } from './chain.ts';
import { asStorageError } from './failure.ts';
import { keptUntil, nextMove } from './homes.ts';
import type { ShardLog } from './log.ts';
import { Resting } from './resting.ts';
import { rewrite } from './rewrite.ts';

/** What is on its way, for people. */
export interface Moving {
  readonly to: string;
  readonly base: number;
  readonly end: number;
  readonly bytes: number;
  readonly ofBytes: number;
}

/** A move that failed; it is tried again. */
export interface MoveTrouble {
  readonly to: string;
  readonly error: StorageError;
  /** Monotonic ms from which it is tried again. */
  readonly until: number;
}

/** The moves of one shard: one at a time. */
export class Moves {
  moving: Moving | undefined;
  trouble: MoveTrouble | undefined;
  readonly #log: ShardLog;
  /** Segments that can't be read, and instances that nothing can be written to. */
  readonly #resting = new Resting();

  constructor(log: ShardLog) {
    this.#log = log;
  }

  /** Makes one move, if there is one to make. @returns whether it did; @throws why it failed: then that one rests for a while */
  async next(progress: () => void): Promise<boolean> {
    const log = this.#log;
    const { environment, topic } = log;
    if (log.phase === 'new' || log.phase === 'stopped' || log.unavailable !== undefined || log.rewriting) return false;
    const now = environment.clock.monotonic();
    const wall = environment.clock.wall();
    const may = (row: SegmentRow, home: string) =>
      !this.#resting.has(row.id, now) &&
      !this.#resting.has(instanceKey(home), now) &&
      mayMove(environment.engines, topic.settings, row, home);
    const move = nextMove(log.rows, topic.settings, wall, may);
    const to = move === undefined ? undefined : environment.engines.get(move.to);
    if (move === undefined || to === undefined) return false;
    const ofBytes = move.rows.reduce((sum, row) => sum + row.bytes, 0);
    const base = move.rows[0]?.base ?? 0;
    const end = move.rows.at(-1)?.end ?? 0;
    let culprit = instanceKey(move.to);
    log.rewriting = true;
    this.moving = { to: move.to, base, end, bytes: 0, ofBytes };
    try {
      await rewrite(log, move.rows, {
        to,
        ...(move.archives
          ? { keepUntil: (row: SegmentRow) => keptUntil(row, log.topic.settings, environment.clock.wall()) }
          : {}),
        progress: (bytes) => {
          this.moving = { to: move.to, base, end, bytes, ofBytes };
          progress();
        },
        unreadable: (row) => {
          culprit = row.id;
        },
      });
      this.trouble = undefined;
      this.#resting.keepOnly(new Set(log.rows.map((row) => row.id)));
      const { counters } = environment;
      counters.movedSegments.value += move.rows.length;
      counters.movedBytes.value += ofBytes;
      return true;
    } catch (error) {
      // not from its beginning: it may have waited for long itself
      this.#resting.add(culprit, environment.clock.monotonic(), error);
      this.trouble = { to: move.to, error: asStorageError(error, log.where), until: this.#resting.until(culprit) };
      environment.counters.failedMoves.value++;
      throw error;
    } finally {
      log.rewriting = false;
      this.moving = undefined;
    }
  }

  /** The engine instance says that it is well: what failed with it need not rest any more. @returns whether anything did */
  wellAgain(instance: string): boolean {
    const { rows, environment } = this.#log;
    const keys = [instanceKey(instance), ...rows.flatMap((row) => (row.instance === instance ? row.id : []))];
    const woken = keys.filter((key) => this.#resting.wake(key)).length > 0;
    if (woken && this.trouble !== undefined) this.trouble = { ...this.trouble, until: environment.clock.monotonic() };
    return woken;
  }
}

function instanceKey(name: string): string {
  return `instance ${name}`;
}

/** Data follows its topic to another engine, unless it would be less safe there: then only new data goes there. The archive was chosen for what is in it. */
export function mayMove(
  engines: ReadonlyMap<string, EngineInstance>,
  settings: TopicSettings,
  row: SegmentRow,
  home: string,
): boolean {
  const from = engines.get(row.instance);
  const to = engines.get(home);
  if (from === undefined || to === undefined) return false;
  return row.archived === true || home === settings.archive.to || !isWeaker(to, from);
}
