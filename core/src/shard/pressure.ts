import { isStorageError } from '../errors.ts';
import type { SegmentRow } from './chain.ts';
import type { ShardEnvironment } from './environment.ts';
import type { ShardLog } from './log.ts';
import { dropOldest } from './retention.ts';

/** Drops per round, so that a report that never changes can't keep the loop forever. */
const MAX_DROPS = 1000;

/** Makes room on every instance that reports pressure: its oldest sealed segments go; where there is none, the largest open one is sealed first. */
export async function relieve(environment: ShardEnvironment, all: Iterable<ShardLog>): Promise<void> {
  const logs = [...all].filter((log) => log.phase !== 'stopped');
  for (const instance of environment.engines.values()) {
    for (let drops = 0; instance.health.status === 'pressure' && drops < MAX_DROPS; drops++) {
      const log = withOldest(logs, instance.name);
      const largest = log === undefined ? withLargestOpen(logs, instance.name) : undefined;
      if (log === undefined && largest === undefined) break;
      try {
        if (log !== undefined) await dropOldest(log, instance.name);
        else await largest?.rollNow();
      } catch (error) {
        if (isStorageError(error, 'CLOSED', 'NOT_OWNER')) break;
        throw error;
      }
    }
  }
}

function withOldest(logs: readonly ShardLog[], instance: string): ShardLog | undefined {
  let found: ShardLog | undefined;
  let oldest = Number.POSITIVE_INFINITY;
  for (const log of logs) {
    const isThere = (row: SegmentRow) => row.instance === instance && (row.state === 'SEALED' || row.kept === true);
    const row = log.deleting.find(isThere) ?? log.rows.find(isThere);
    if (row === undefined || row.appendMaxTs >= oldest) continue;
    found = log;
    oldest = row.appendMaxTs;
  }
  return found;
}

function withLargestOpen(logs: readonly ShardLog[], instance: string): ShardLog | undefined {
  let found: ShardLog | undefined;
  for (const log of logs)
    if (log.open?.row.instance === instance && log.open.stats.bytes > (found?.open?.stats.bytes ?? 0)) found = log;
  return found;
}
