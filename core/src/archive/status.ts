/** What waits to be moved, what is on its way, what lies in archives: for people and for metrics. */
import { NO_ARCHIVE } from '../adapter.ts';
import { type ToldError, toldError } from '../errors.ts';
import type { SegmentRow } from '../shard/chain.ts';
import { homeOf } from '../shard/homes.ts';
import type { ShardLog } from '../shard/log.ts';
import { mayMove } from '../shard/moves.ts';
import type { Metrics } from '../world.ts';
import type { ManifestStatus } from './manifest-keeper.ts';

export interface ArchiveStatus {
  readonly shards: readonly ShardArchiveStatus[];
  /** Shards that nobody has used since the start are not in memory; those with work come there by themselves. */
  readonly shardsNotOpen: number;
  readonly manifests: readonly ManifestStatus[];
}

export interface ShardArchiveStatus {
  readonly topic: string;
  readonly shard: number;
  /** `none`: what was archived comes back. */
  readonly to: string;
  /** Segments that lie elsewhere than they belong. */
  readonly waiting: Amount;
  /** How long the oldest of them has been due for the archive, ms. */
  readonly lagMs: number;
  readonly moving?: {
    readonly to: string;
    readonly base: number;
    readonly end: number;
    readonly bytes: number;
    readonly ofBytes: number;
  };
  readonly failed?: ToldError & { readonly to: string; readonly retryInMs: number };
  readonly archived: Amount;
  /** Copies that stay near for readers. */
  readonly copies: Amount;
}

export interface Amount {
  readonly segments: number;
  readonly bytes: number;
}

/** Of the shards that are archived, or have something in an archive or on its way. */
export function archiveStatusOf(logs: Iterable<ShardLog>): ShardArchiveStatus[] {
  return [...logs].flatMap((log) => shardStatus(log) ?? []);
}

function shardStatus(log: ShardLog): ShardArchiveStatus | undefined {
  const { environment, topic, moves } = log;
  const { archive } = topic.settings;
  const wall = environment.clock.wall();
  const waits = (row: SegmentRow): boolean => {
    if (row.state !== 'SEALED') return false;
    const home = homeOf(row, topic.settings, wall);
    return home !== row.instance && mayMove(environment.engines, topic.settings, row, home);
  };
  const waiting = log.rows.filter(waits);
  const archived = log.rows.filter((row) => row.archived === true && row.state === 'SEALED');
  if (archive.to === NO_ARCHIVE && waiting.length === 0 && archived.length === 0) return undefined;
  const due = waiting.filter((row) => row.archived !== true).map((row) => row.appendMaxTs + archive.after);
  const { moving, trouble } = moves;
  return {
    topic: topic.name,
    shard: log.index,
    to: archive.to,
    waiting: amountOf(waiting),
    lagMs: archive.to === NO_ARCHIVE || due.length === 0 ? 0 : Math.max(0, wall - Math.min(...due)),
    ...(moving === undefined ? {} : { moving }),
    ...(trouble === undefined
      ? {}
      : {
          failed: {
            to: trouble.to,
            ...toldError(trouble.error),
            retryInMs: Math.max(0, Math.round(trouble.until - environment.clock.monotonic())),
          },
        }),
    archived: amountOf(archived),
    copies: amountOf(log.deleting.filter((row) => row.kept === true)),
  };
}

/** A scrape reads several gauges in a row: one look at the shards does for all. */
const LOOK_MS = 1000;

export function watchArchives(metrics: Metrics, now: () => number, look: () => readonly ShardArchiveStatus[]): void {
  let at = Number.NEGATIVE_INFINITY;
  let shards: readonly ShardArchiveStatus[] = [];
  const gauge = (name: string, help: string, read: (found: readonly ShardArchiveStatus[]) => number): void =>
    metrics.gauge(name, help, () => {
      if (now() - at >= LOOK_MS) {
        at = now();
        shards = look();
      }
      return read(shards);
    });
  const sum = (read: (shard: ShardArchiveStatus) => number) => (found: readonly ShardArchiveStatus[]) =>
    found.reduce((total, shard) => total + read(shard), 0);
  const most = (read: (shard: ShardArchiveStatus) => number) => (found: readonly ShardArchiveStatus[]) =>
    found.reduce((highest, shard) => Math.max(highest, read(shard)), 0);
  gauge(
    'robust_archive_waiting_segments',
    'Sealed segments that lie elsewhere than they belong',
    sum(({ waiting }) => waiting.segments),
  );
  gauge(
    'robust_archive_waiting_bytes',
    'Bytes of those segments',
    sum(({ waiting }) => waiting.bytes),
  );
  gauge(
    'robust_archive_moving_bytes',
    'Bytes of moves that are on their way, as far as they have been copied',
    sum(({ moving }) => moving?.bytes ?? 0),
  );
  gauge(
    'robust_archive_failing_shards',
    'Shards whose last move failed and is tried again',
    sum(({ failed }) => (failed === undefined ? 0 : 1)),
  );
  gauge(
    'robust_archive_archived_bytes',
    'Bytes in archives, of shards in memory',
    sum(({ archived }) => archived.bytes),
  );
  gauge(
    'robust_archive_lag_seconds',
    'How long the oldest segment that waits has been due for its archive',
    most(({ lagMs }) => lagMs / 1000),
  );
}

function amountOf(rows: readonly SegmentRow[]): Amount {
  return { segments: rows.length, bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0) };
}
