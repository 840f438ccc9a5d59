import type { Verb } from './verb.ts';
import { archiveCat, archiveLs } from './verbs/archive.ts';
import { archiveRestore } from './verbs/archive-restore.ts';
import { archiveStatus } from './verbs/archive-status.ts';
import { archiveVerify } from './verbs/archive-verify.ts';
import { check } from './verbs/check.ts';
import { configInit, configPrint, configSchema } from './verbs/config.ts';
import { cost } from './verbs/cost.ts';
import { enginesLs } from './verbs/engines.ts';
import { explain } from './verbs/explain.ts';
import { pub } from './verbs/pub.ts';
import { start } from './verbs/start.ts';
import { status } from './verbs/status.ts';
import { sub } from './verbs/sub.ts';
import { topicAlter, topicCreate, topicDelete, topicDescribe, topicLs, topicRecover } from './verbs/topic.ts';

/** In the order in which help shows them. */
export const VERBS: readonly Verb[] = [
  start,
  status,
  check,
  configPrint,
  configSchema,
  configInit,
  enginesLs,
  cost,
  topicLs,
  topicCreate,
  topicDescribe,
  topicAlter,
  topicDelete,
  topicRecover,
  archiveStatus,
  archiveLs,
  archiveCat,
  archiveVerify,
  archiveRestore,
  pub,
  sub,
  explain,
];
