/** Where the sealed segments of a shard belong, by the settings of its topic: on its engine, or, once they are no longer new, in its archive. Pure. */
import { NO_ARCHIVE, type TopicSettings } from '../adapter.ts';
import type { SegmentRow } from './chain.ts';
import { runs } from './grouping.ts';

export interface Move {
  /** Neighbours that go together. */
  readonly rows: readonly SegmentRow[];
  /** The instance they go to. */
  readonly to: string;
  readonly archives: boolean;
}

/** The instance on which a sealed segment should lie now. */
export function homeOf(row: SegmentRow, settings: TopicSettings, wall: number): string {
  const { archive, engine } = settings;
  if (archive.to === NO_ARCHIVE) return engine;
  // what is there stays there, also when `after` has grown meanwhile
  if (row.instance === archive.to) return archive.to;
  return isDue(row, settings, wall) ? archive.to : engine;
}

/** Old enough for the archive. Of a compacted topic only what has been compacted goes: the rest will be written again soon. */
export function isDue(row: SegmentRow, { archive, cleanup }: TopicSettings, wall: number): boolean {
  if (archive.to === NO_ARCHIVE || row.appendMaxTs + archive.after > wall) return false;
  return cleanup === 'delete' || row.compacted === true;
}

/**
 * The first segments, in the order of the chain, that lie elsewhere than they should, with neighbours that go to the same place, as far as they fit into one
 * segment. Those that `may` not go are passed over.
 */
export function nextMove(
  rows: readonly SegmentRow[],
  settings: TopicSettings,
  wall: number,
  may: (row: SegmentRow, to: string) => boolean,
): Move | undefined {
  const goes = (row: SegmentRow): string | undefined => {
    if (row.state !== 'SEALED') return undefined;
    const home = homeOf(row, settings, wall);
    return home === row.instance || !may(row, home) ? undefined : home;
  };
  const to = rows.map(goes).find((home) => home !== undefined);
  if (to === undefined) return undefined;
  const group = runs(rows, (row) => goes(row) === to, settings.segment.bytes)[0];
  return group === undefined ? undefined : { rows: group, to, archives: to === settings.archive.to };
}

/** How old an open segment may get: no older than what the archive takes. */
export function mostAge({ segment, archive }: TopicSettings): number {
  return archive.to === NO_ARCHIVE ? segment.ms : Math.min(segment.ms, archive.after);
}

/** Until when a copy of an archived segment stays on the engine it was written to, wall time in ms; `undefined`: not at all. */
export function keptUntil(row: SegmentRow, settings: TopicSettings, wall: number): number | undefined {
  const until = row.appendMaxTs + settings.archive.keepLocal;
  return row.instance === settings.engine && until > wall ? until : undefined;
}
