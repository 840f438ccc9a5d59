import type { Check, Promised } from './check.ts';
import { atomicityChecks } from './checks/atomicity.ts';
import { boundChecks } from './checks/bounds.ts';
import { capabilityChecks } from './checks/capabilities.ts';
import { chainChecks } from './checks/chains.ts';
import { crashPointChecks, laterCrashPointChecks } from './checks/crash-points.ts';
import { crowdChecks } from './checks/crowds.ts';
import { deletionChecks } from './checks/deletion.ts';
import { durabilityChecks } from './checks/durability.ts';
import { failingChecks } from './checks/failing.ts';
import { fencingChecks } from './checks/fencing.ts';
import { fullDiskChecks } from './checks/full-disks.ts';
import { givingUpChecks } from './checks/giving-up.ts';
import { ingestChecks } from './checks/ingest.ts';
import { ioFaultChecks, laterIoFaultChecks } from './checks/io-faults.ts';
import { lateAnswerChecks } from './checks/late-answers.ts';
import { leakChecks } from './checks/leaks.ts';
import { limitChecks } from './checks/limits.ts';
import { mediaChecks } from './checks/media.ts';
import { modelChecks } from './checks/model.ts';
import { multiplexingChecks } from './checks/multiplexing.ts';
import { nodeChecks } from './checks/nodes.ts';
import { orderChecks } from './checks/order.ts';
import { processChecks } from './checks/process.ts';
import { producerChecks } from './checks/producers.ts';
import { quietChecks } from './checks/quiet.ts';
import { raceChecks } from './checks/races.ts';
import { readChecks } from './checks/reads.ts';
import { recoveryChecks } from './checks/recovery.ts';
import { restartChecks } from './checks/restarts.ts';
import { rollingChecks } from './checks/rolling.ts';
import { sealingChecks } from './checks/sealing.ts';
import { sequenceChecks } from './checks/sequences.ts';
import { shelfChecks } from './checks/shelves.ts';
import { timestampChecks } from './checks/timestamps.ts';
import { tornTailChecks } from './checks/torn-tails.ts';
import { laterUpkeepChecks, upkeepChecks } from './checks/upkeep.ts';
import { visibilityChecks } from './checks/visibility.ts';
import { waitingChecks } from './checks/waiting.ts';

export const checks: readonly Check[] = [
  ...orderChecks,
  ...atomicityChecks,
  ...durabilityChecks,
  ...visibilityChecks,
  ...fencingChecks,
  ...recoveryChecks,
  ...ingestChecks,
  ...readChecks,
  ...timestampChecks,
  ...sealingChecks,
  ...deletionChecks,
  ...multiplexingChecks,
  ...limitChecks,
  ...leakChecks,
  ...capabilityChecks,
  ...producerChecks,
  ...chainChecks,
  ...restartChecks,
  ...crashPointChecks,
  ...ioFaultChecks,
  ...tornTailChecks,
  ...modelChecks,
  ...processChecks,
  ...crowdChecks,
  ...raceChecks,
  ...waitingChecks,
  ...fullDiskChecks,
  ...mediaChecks,
  ...upkeepChecks,
  ...boundChecks,
  ...quietChecks,
  ...sequenceChecks,
  ...nodeChecks,
  ...laterIoFaultChecks,
  ...rollingChecks,
  ...failingChecks,
  ...givingUpChecks,
  ...shelfChecks,
  ...laterUpkeepChecks,
  ...lateAnswerChecks,
  ...laterCrashPointChecks,
];

/** Every promise that is checked, with the reason for it. */
export const promises: readonly (Promised & { readonly subject: Check['subject'] })[] = checks.map(
  ({ id, level, area, promise, why, subject }) => ({ id, level, area, promise, why, subject }),
);
